#!/usr/bin/env python3
"""The pages as what reads them sees them: an HTML parser, a browser's style hash, a shell.

Usage: pages_check.py PAGES_PRINT. The commands of the markdown are really run by sh, with a `curl`
that only notes its arguments, so that a hostile address which broke out of its quotes would be
seen doing so."""
import base64
import hashlib
import html.parser
import os
import re
import shutil
import subprocess
import sys
import tempfile
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
    for text in HOSTILE:
        yield text
        yield "http://127.0.0.1:3000" + text
        yield "http://" + text
        yield "https://host/" + text
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


if __name__ == "__main__":
    if not PRINT:
        sys.exit("usage: pages_check.py PAGES_PRINT")
    unittest.main(argv=sys.argv[:1])
