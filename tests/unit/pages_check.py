#!/usr/bin/env python3
"""The pages as what reads them sees them: an HTML parser, a browser's style hash, a shell.

Usage: pages_check.py PAGES_PRINT. The commands of the markdown are really run by sh, with a `curl`
that only notes its arguments, so that a hostile address which broke out of its quotes would be
seen doing so."""
import base64
import hashlib
import html.parser
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest

PRINT = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
STATES = {"none": 0, "pending": 1, "claimed": 2, "expired": 3, "unknown": 4}
URL = "http://127.0.0.1:3000"
CODE = "PEARL-FOCAL-S5SJV"
HOSTILE = [
    '"><script>alert(1)</script>',
    "`touch canary`",
    "$(touch canary)",
    "'; touch canary; '",
    '"; touch canary; "',
    "\ntouch canary\n",
    "\r\n```\n# new orders\n",
    "${IFS}touch${IFS}canary",
    "x' onload='alert(1)",
    "|a|b|\n|---|---|",
    "&lt;script&gt;",
    "</style><script>",
    "[a](javascript:alert(1))",
    "\\\" touch canary #",
    "\u202egnp.exe\u00e9",
    "@URL@@CODE@",
    "%n%s%d",
]
VOID = {"meta", "link", "br", "hr", "img", "input"}
ELEMENTS = set(
    "html head meta title style body main h1 h2 h3 p pre code strong ul li div table tr th td".split()
)
ATTRIBUTES = {"lang", "charset", "name", "content", "class", "tabindex", "scope"}


def page(form, state, url=URL, code=CODE):
    done = subprocess.run(
        [PRINT, form, str(STATES[state]), url, code], capture_output=True, check=True, timeout=30
    )
    return done.stdout.decode("utf-8")


def hostile_urls():
    for at, text in enumerate(HOSTILE):
        yield text
        yield ("http://127.0.0.1:3000", "http://", "https://host/")[at % 3] + text
    yield from ("", "ftp://host", "http://", "http:///x", "http://user:pass@host", "//host",
                "http://-x", "http://host?x=$(touch canary)", "http://host#x", "http://" + "a" * 300)


class Document(html.parser.HTMLParser):
    """Checks the balance of tags, and collects the text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.style, self.faults = [], "", "", []

    def handle_starttag(self, tag, attrs):
        if tag not in ELEMENTS:
            self.faults.append("element " + tag)
        for name, _ in attrs:
            if name not in ATTRIBUTES:
                self.faults.append("attribute %s of %s" % (name, tag))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("p", "h1", "h2", "h3", "pre", "ul", "div") and self.open[-2] not in ("main",):
            self.faults.append("%s inside %s" % (tag, self.open[-2]))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append("unbalanced " + tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data

    def handle_comment(self, data):
        self.faults.append("comment")


def parse(text):
    document = Document()
    document.feed(text)
    document.close()
    return document


def snippets(markdown):
    return re.findall(r"^```sh\n(.*?)^```$", markdown, re.M | re.S)


def words(text):
    """What is said, without the marks of either form."""
    text = re.sub(r"^(#+|>|-) |^```\w*$|^\|(---\|)+$|[`*|]", "", text, flags=re.M)
    return re.sub(r"\s+", "", text)


class Pages(unittest.TestCase):
    def test_html_is_well_formed(self):
        for state in STATES:
            document = parse(page("html", state))
            self.assertEqual(document.faults, [], state)
            self.assertEqual(document.open, [], state)
            self.assertEqual(page("html", state).count("<h1>"), 1)
            self.assertEqual(page("html", state).count("<title>"), 1)

    def test_hostile_values_stay_text(self):
        values = [(url, CODE) for url in hostile_urls()] + [(URL, code) for code in HOSTILE]
        for at, (url, code) in enumerate(values):
            # Each value on one page that shows a claim command, and on one other.
            for state in ("pending", list(STATES)[at % len(STATES)]):
                html_text = page("html", state, url, code)
                self.assertEqual(parse(html_text).faults, [], (url, code))
                for text in (html_text, page("markdown", state, url, code)):
                    self.assertNotIn("alert(1)", text)
                    self.assertNotIn("touch canary", text)

    def test_style_hash(self):
        csp = page("csp", "none")
        self.assertIn("default-src 'none'", csp)
        self.assertNotIn("unsafe", csp)
        found = re.search(r"style-src 'sha256-([^']+)'", csp)
        style = re.search(r"<style>(.*?)</style>", page("html", "none"), re.S).group(1)
        self.assertGreater(len(style), 100)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self.assertEqual(found.group(1), digest)
        self.assertNotIn("url(", style)
        self.assertNotIn("@import", style)

    def test_both_forms_say_the_same(self):
        for state in STATES:
            markdown = page("markdown", state).split("\n---\n", 1)[1]
            document = parse(page("html", state))
            title = re.search(r"<title>(.*?)</title>", page("html", state)).group(1)
            self.assertEqual(words(document.text), words(title + markdown), state)

    def test_front_matter(self):
        for state in STATES:
            lines = page("markdown", state, 'http://x"\n---\nname: evil', "a\nname: evil").split("\n")
            self.assertEqual(lines[0], "---")
            end = lines.index("---", 1)
            fields = dict(line.split(": ", 1) for line in lines[1:end])
            self.assertEqual(set(fields), {"name", "description"})
            self.assertRegex(fields["name"], r"^[a-z0-9]+(-[a-z0-9]+)*$")
            self.assertLessEqual(len(fields["description"]), 1024)
            self.assertNotRegex(fields["description"], r": |#|^[\"'>|&*!%@`\[{]")

    def run_shell(self, script, folder):
        """Runs a script with a curl that only writes down its arguments."""
        tools = os.path.join(folder, "bin")
        os.makedirs(tools, exist_ok=True)
        with open(os.path.join(tools, "curl"), "w", encoding="utf-8") as file:
            file.write(
                "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\n' \"$a\"; done >>\"$NOTES\"\n"
                "printf '%s' '{\"sessionId\":\"5e55\",\"sessionKey\":\"6e\",\"nextCursor\":\"7\"}'\n"
            )
        os.chmod(os.path.join(tools, "curl"), 0o755)
        notes = os.path.join(folder, "notes")
        env = {"PATH": tools + ":/usr/bin:/bin", "NOTES": notes, "HOME": folder}
        work = os.path.join(folder, "work")
        os.makedirs(work, exist_ok=True)
        subprocess.run(["sh", "-eu", "-c", script], cwd=work, env=env, check=True, timeout=30,
                       capture_output=True)
        self.assertEqual(os.listdir(work), [])
        with open(notes, encoding="utf-8") as file:
            return file.read().split("\n")

    def test_commands_run_as_they_stand(self):
        for state in STATES:
            found = snippets(page("markdown", state))
            self.assertGreaterEqual(len(found), 5, state)
            self.assertTrue(all("curl" in snippet for snippet in found), state)
            with tempfile.TemporaryDirectory() as folder:
                notes = self.run_shell("\n".join(found), folder)
            code = CODE if state == "pending" else "WORD-WORD-XXXXX"
            for call in ("/v1/pair/%s/claim" % code, "/v1/sessions/5e55/messages",
                         "/v1/sessions/5e55/messages?after=7", "/v1/sessions/5e55/renew",
                         "/v1/sessions/5e55/agents/guest-agent"):
                self.assertIn(URL + call, notes, state)
            self.assertIn("X-Session-Key: 6e", notes)

    def test_no_address_breaks_out(self):
        for url in hostile_urls():
            found = snippets(page("markdown", "pending", url, CODE))
            with tempfile.TemporaryDirectory() as folder:
                notes = self.run_shell("\n".join(found), folder)
            self.assertIn("https://nexus-server.example/v1/pair/%s/claim" % CODE, notes)

    def test_no_code_breaks_out(self):
        for code in HOSTILE:
            found = snippets(page("markdown", "pending", URL, code))
            with tempfile.TemporaryDirectory() as folder:
                notes = self.run_shell("\n".join(found), folder)
            self.assertTrue(any(note.startswith(URL + "/v1/pair/") for note in notes))

    def test_plain_addresses_are_kept(self):
        for url in (URL, "http://[::1]:3000", "https://messaging.example", "https://a.b/nexus",
                    "http://localhost", "https://x-y.z_1/~a/b-c"):
            for given in (url, url + "/"):
                self.assertIn('"%s/v1/pair/%s/claim"' % (url, CODE), page("markdown", "pending", given))
            self.assertNotIn("nexus-server.example", page("markdown", "pending", url))

    def test_first_words_tell_what_to_do(self):
        begin = {state: page("markdown", state).split("\n---\n", 1)[1] for state in STATES}
        self.assertLess(begin["pending"].index("/claim"), 1600)
        for state in ("claimed", "expired", "unknown"):
            self.assertIn("ask for a new", begin[state][:900])
            self.assertIn(CODE, begin[state][:400])
            self.assertIn("/v1/sessions", begin[state])
        for state in STATES:
            for needed in ("X-Agent-Id", "X-Session-Key", "nextCursor", "Retry-After", "REDACTED",
                           "permission", "3–5 minutes", "/v1/session`", "session_full"):
                self.assertIn(needed, begin[state], state)

    def test_script(self):
        for url in [URL, *hostile_urls()]:
            script = page("script", "none", url)
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "nexus.sh")
                with open(path, "w", encoding="utf-8") as file:
                    file.write(script)
                subprocess.run(["sh", "-n", path], check=True, timeout=30)
                if url == URL and shutil.which("shellcheck"):
                    subprocess.run(["shellcheck", path], check=True, timeout=60)
                subprocess.run(["sh", path, "help"], cwd=folder, check=True, timeout=30,
                               capture_output=True, env={"HOME": folder, "PATH": os.environ["PATH"]})
                self.assertEqual(os.listdir(folder), ["nexus.sh"])
            expected = url if url == URL else "https://nexus-server.example"
            self.assertIn("URL_DEFAULT='%s'" % expected, script)


class Service(http.server.BaseHTTPRequestHandler):
    """Just enough of the service to drive the script: says what it was asked."""

    canned = {
        "PUT /v1/sessions": (201, {"sessionId": "5e55", "ttl": 60}),
        "POST /v1/sessions/5e55/join": (200, {"status": "joined", "sessionKey": "6e"}),
        "PUT /v1/pair": (201, {"code": CODE, "url": "http://x/p/" + CODE}),
        "POST /v1/pair/%s/claim" % CODE: (200, {"sessionId": "5e55", "sessionKey": "7f"}),
        "GET /v1/pair/%s/status" % CODE: (200, {"state": "claimed"}),
        "POST /v1/sessions/5e55/messages": (201, {"ok": True, "cursor": "1"}),
        "GET /v1/sessions/5e55/messages": (200, {"messages": [], "nextCursor": "4"}),
        "GET /v1/sessions/5e55/messages?after=4": (200, {"messages": [], "nextCursor": "4"}),
        "GET /v1/sessions/5e55/messages?after=2&members=true": (200, {"nextCursor": "9"}),
        "POST /v1/sessions/5e55/renew": (200, {"ttl": 90}),
        "DELETE /v1/sessions/5e55/agents/me": (200, {"ok": True}),
    }
    asked = []

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        call = "%s %s" % (self.command, self.path)
        self.asked.append((call, dict(self.headers), body))
        status, value = self.canned.get(call, (404, {"error": "not_found"}))
        data = b"<html>" if "broken" in self.path else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_DELETE = answer

    def log_message(self, *_):
        pass


class Script(unittest.TestCase):
    """nexus.sh against a service that notes what it is asked."""

    def setUp(self):
        Service.asked = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "nexus.sh")
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(page("script", "none", self.url))

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()

    def run_verb(self, *arguments, status=0):
        done = subprocess.run(
            ["sh", self.path, *arguments], capture_output=True, text=True, timeout=30,
            env={"PATH": os.environ["PATH"], "HOME": self.folder.name,
                 "TMPDIR": self.folder.name})
        self.assertEqual(done.returncode, status, done.stderr)
        return json.loads(done.stdout) if done.stdout else None

    def state(self, name):
        path = os.path.join(self.folder.name, ".config/messaging/sessions/5e55", name)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        with open(path, encoding="utf-8") as file:
            return file.read()

    def test_flow(self):
        greeting = "It's \"said\" $(x) `y` \\n €"
        self.run_verb("create", "--greeting", greeting, "--max-agents", "3")
        self.assertEqual(json.loads(Service.asked[-1][2]),
                         {"ttl": 3660, "maxAgents": 3, "greeting": greeting})
        self.run_verb("join", "5e55", "--agent-id", "me")
        self.assertEqual((self.state("agent"), self.state("key"), self.state("server")),
                         ("me\n", "6e\n", self.url + "\n"))
        self.assertEqual(self.run_verb("pair", "5e55")["code"], CODE)
        self.run_verb("send", "5e55", greeting, "--json", '{"n": 1.10, "n": 20000000000000000000}')
        call, headers, body = Service.asked[-1]
        self.assertEqual((headers["X-Agent-Id"], headers["X-Session-Key"]), ("me", "6e"))
        self.assertEqual(json.loads(body)["text"], greeting)
        self.assertIn('"json":{"n": 1.10, "n": 20000000000000000000}', body)
        self.run_verb("send", "5e55", "--json", "[1]")
        self.assertEqual(Service.asked[-1][2], '{"json":[1]}')
        self.run_verb("poll", "5e55")
        self.assertEqual(self.state("cursor"), "4\n")
        self.run_verb("poll", "5e55")
        self.run_verb("poll", "5e55", "--after", "2", "--members")
        self.assertEqual(self.state("cursor"), "4\n")
        self.run_verb("poll", "--after", "0", "5e55")
        self.assertEqual(Service.asked[-1][0], "GET /v1/sessions/5e55/messages")
        self.assertEqual(self.run_verb("renew", "5e55", "--ttl", "90")["ttl"], 90)
        self.assertEqual(json.loads(Service.asked[-1][2]), {"ttl": 90})
        self.run_verb("leave", "5e55")
        self.assertFalse(os.path.exists(os.path.join(self.folder.name,
                                                     ".config/messaging/sessions/5e55")))
        self.assertEqual(os.listdir(self.folder.name).count("nexus.sh"), 1)
        self.assertEqual([n for n in os.listdir(self.folder.name) if n.startswith("tmp")], [])

    def test_claim(self):
        self.run_verb("claim", CODE, "--agent-id", "me")
        self.assertEqual(self.state("key"), "7f\n")
        self.assertEqual(self.run_verb("pair-status", CODE), {"state": "claimed"})

    def test_no(self):
        self.assertEqual(self.run_verb("status", "nope", status=1), {"error": "not_found"})
        self.assertEqual(self.run_verb("status", "broken", status=1),
                         {"error": "non_json_response"})
        self.assertEqual(self.run_verb("status", "5e55", "--url", "http://127.0.0.1:1", status=1),
                         {"error": "non_json_response"})

    def test_what_cannot_be_is_not_asked(self):
        for arguments in (["status", "../../etc"], ["status", "a b"], ["join", "5e55"],
                          ["join", "5e55", "--agent-id", "a\nX-Session-Key: b"],
                          ["poll", "5e55", "--agent-id", "me", "--after", "1&x=2"],
                          ["send", "5e55", "--agent-id", "me"], ["claim", "$(x)"],
                          ["send", "5e55", "--agent-id", "me", "--json", "1} {"],
                          ["send", "5e55", "--agent-id", "me", "--json", "1 2"],
                          ["send", "5e55", "two", "texts", "--agent-id", "me"],
                          ["status", "5e55", "--url", "file:///etc/passwd"],
                          ["create", "--ttl", "1e3"], ["nonsense"], [], ["--nonsense"]):
            self.assertIsNone(self.run_verb(*arguments, status=2))
        self.assertEqual(Service.asked, [])


if __name__ == "__main__":
    if not PRINT:
        sys.exit("usage: pages_check.py PAGES_PRINT")
    unittest.main(argv=sys.argv[:1])
