#!/usr/bin/env python3
"""The session service around the sessions (docs: wire, sections 1, 3 and 5): service paths, errors
every path shares, methods, content types, sizes, HEAD, request ids, links, pages, rate limits,
settings, and how pairing codes are made. Nothing here depends on the generation."""
import math
import os
import re
import socket
import tempfile
import unittest

import lib
from lib import Api, Http, Server

UNKNOWN = "0123456789abcdef" * 3
CODE = "PEARL-FOCAL-S5SJV"
ROUTES = []  # (path, its methods)
for base in ("/v1/session", "/v1/sessions"):
    ROUTES += [(base, {"PUT"}), (base + "/" + UNKNOWN, {"GET"}),
               (base + "/" + UNKNOWN + "/join", {"POST"}),
               (base + "/" + UNKNOWN + "/messages", {"GET", "POST"}),
               (base + "/" + UNKNOWN + "/renew", {"POST"}),
               (base + "/" + UNKNOWN + "/agents/a", {"DELETE"})]
ROUTES += [("/v1/pair", {"PUT"}), ("/v1/pair/%s/claim" % CODE, {"POST"}),
           ("/v1/pair/%s/status" % CODE, {"GET"}), ("/v1/pair/%s/skill" % CODE, {"GET"}),
           ("/p/%s" % CODE, {"GET"}), ("/health", {"GET"}), ("/v1/stats", {"GET"}), ("/", {"GET"}),
           ("/skill.md", {"GET"})]
BODY_PATHS = [("PUT", "/v1/session"), ("PUT", "/v1/sessions"), ("PUT", "/v1/pair"),
              ("POST", "/v1/session/%s/messages"), ("POST", "/v1/sessions/%s/messages"),
              ("POST", "/v1/session/%s/renew"), ("POST", "/v1/sessions/%s/renew")]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Service(lib.Case):

    def setUp(self):
        super().setUp()
        self.sid = self.api.session()
        self.api.joined(self.sid, "a")

    def test_health(self):
        body = self.expect(self.api.request("GET", "/health"), 200)
        self.keys(body, "status version uptime capabilities")
        self.assertEqual((body["status"], body["capabilities"]),
                         ("ok", {"messageFormat": ["text", "json"]}))
        self.assertRegex(body["version"], r"^\d+\.\d+\.\d+")
        self.assertIs(type(body["uptime"]), int)
        self.assertTrue(0 <= body["uptime"] < 600)

    def test_stats(self):
        before = self.expect(self.api.request("GET", "/v1/stats"), 200)
        self.keys(before, "activeSessions totalAgents totalMessages uptime")
        for name, value in before.items():
            self.assertIs(type(value), int, name)
        sid = self.api.session()
        self.api.joined(sid, "a")
        self.api.send(sid, "a", "x")
        after = self.expect(self.api.request("GET", "/v1/stats"), 200)
        self.assertEqual(after["activeSessions"], before["activeSessions"] + 1)
        self.assertEqual(after["totalAgents"], before["totalAgents"] + 1)
        self.assertEqual(after["totalMessages"], before["totalMessages"] + 1)

    def test_unknown_paths(self):
        for path in ("/v1", "/v1/", "/v2/session", "/v1/sessionss",
                     "/v1/session/%s/nothing" % self.sid, "/v1/session/%s/messages/1" % self.sid,
                     "/v1/session/%s/agents" % self.sid, "/v1/pair/X", "/v1/pair/X/nothing", "/p",
                     "/p/a/b", "/favicon.ico", "/healthz", "/health/x",
                     "/v1/sessions/%s/agents/a/b" % self.sid, "/skill", "/.env",
                     "/v1/session/%s/joinx" % self.sid):
            for method in ("GET", "POST"):
                with self.subTest(path=path, method=method):
                    self.expect(self.api.request(method, path), 404, "not_found")

    def test_methods_that_do_not_fit(self):
        for path, methods in ROUTES:
            for method in {"GET", "PUT", "POST", "DELETE", "PATCH"} - methods:
                with self.subTest(path=path, method=method):
                    answer = self.api.request(method, path)
                    self.assertEqual(answer.status, 405, answer)
                    allowed = {word.strip() for word in answer.headers["Allow"].split(",")}
                    self.assertTrue(methods <= allowed, allowed)
                    self.assertNotIn(method, allowed)

    def test_head_is_get_without_the_body(self):
        code = self.api.code(self.sid)
        for path in ("/health", "/v1/session/" + self.sid, "/v1/sessions/" + self.sid,
                     "/v1/pair/%s/status" % code, "/", "/skill.md", "/v1/pair/%s/skill" % code,
                     "/p/" + code, "/v1/session/" + UNKNOWN, "/nowhere"):
            with self.subTest(path=path):
                head = self.api.request("HEAD", path)
                get = self.api.request("GET", path)
                self.assertEqual((head.status, head.body), (get.status, b""))
                self.assertEqual(head.headers.get("Content-Type"), get.headers.get("Content-Type"))
                if path != "/health":
                    self.assertEqual(head.headers["Content-Length"], str(len(get.body)))

    def test_request_ids_differ(self):
        ids = {
            self.api.request("GET", path).headers["X-Request-Id"]
            for path in ("/health", "/nowhere") * 8
        }
        self.assertEqual(len(ids), 16)

    def test_answers_are_json_and_not_cached(self):
        answer = self.api.status(self.sid)
        self.assertTrue(answer.headers["Content-Type"].startswith("application/json"))

    def test_content_types(self):
        for method, path in BODY_PATHS:
            path = path % self.sid if "%s" in path else path
            body = {"sessionId": self.sid, "text": "x"}
            for good in ("application/json", "Application/JSON", "application/json; charset=utf-8",
                         "application/json;charset=UTF-8"):
                with self.subTest(path=path, type=good):
                    answer = self.api.request(method, path, body, agent="a",
                                              headers={"Content-Type": good})
                    self.assertIn(answer.status, (200, 201), answer)
            for bad in ("text/plain", "application/x-www-form-urlencoded",
                        "multipart/form-data; boundary=x", "application/jsonx", "application", "",
                        ";", "text/json; application/json", "application/xml"):
                with self.subTest(path=path, type=bad):
                    answer = self.api.request(method, path, body, agent="a",
                                              headers={"Content-Type": bad})
                    self.assertEqual(answer.status, 415, answer)
            with self.subTest(path=path, type=None):
                answer = self.api.request(method, path, body, agent="a",
                                          headers={"Content-Type": None})
                self.assertEqual(answer.status, 415, answer)

    def test_bodies_that_are_no_json(self):
        for method, path in BODY_PATHS:
            path = path % self.sid if "%s" in path else path
            for body in (b"{", b"}", b"[", b"hello", b"{}{}", b'{"a":01}', b'{"a":NaN}',
                         b'{"a":1,}', b"{a:1}", b"\0"):
                with self.subTest(path=path, body=body):
                    self.expect(self.api.request(method, path, body, agent="a"), 400,
                                "invalid_body")
            for body in (b"[]", b"1", b'"x"', b"null"):
                with self.subTest(path=path, body=body):
                    self.expect(self.api.request(method, path, body, agent="a"), 400,
                                "invalid_request")

    def test_a_body_too_large(self):
        path = "/v1/session/%s/messages" % self.sid
        sock = lib.connect(self.server)
        self.addCleanup(sock.close)
        sock.sendall(
            b"POST %s HTTP/1.1\r\nHost: x\r\nX-Agent-Id: a\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000000\r\n\r\n" % path.encode())
        answer, _, _ = lib.read_answer(sock)
        self.assertIsNotNone(answer)
        lib.check_answer(answer)
        self.expect(answer, 413, "payload_too_large")
        self.expect(self.api.status(self.sid), 200)

    def test_a_chunked_body_too_large(self):
        sock = lib.connect(self.server)
        self.addCleanup(sock.close)
        sock.sendall(b"PUT /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n")
        piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        try:
            for _ in range(80):
                sock.sendall(piece)
        except OSError:
            pass  # it stopped reading: what we want
        answer, _, _ = lib.read_answer(sock)
        if answer is not None:  # a reset may have overtaken it
            self.expect(answer, 413, "payload_too_large")
        self.expect(self.api.status(self.sid), 200)

    def test_a_large_message_that_fits(self):
        text = "x" * 60000
        self.expect(self.api.send(self.sid, "a", text), 201)
        self.assertEqual(
            self.expect(self.api.poll(self.sid, "a"), 200)["messages"][0]["text"], text)

    def test_percent_encoded_paths_are_the_same_paths(self):
        encoded = "%" + "%02x" % ord(self.sid[0]) + self.sid[1:]
        self.expect(self.api.request("GET", "/v1/session/" + encoded), 200)

    def test_the_errors_of_http_itself_carry_an_id_too(self):
        for request, status in ((b"NONSENSE\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n\r\n", 400)):
            sock = lib.connect(self.server)
            self.addCleanup(sock.close)
            sock.sendall(request)
            answer, _, _ = lib.read_answer(sock)
            self.assertIsNotNone(answer)
            lib.check_answer(answer)
            self.assertEqual(answer.status, status)


class Pages(lib.Case):
    """Section 5."""

    HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}

    def setUp(self):
        super().setUp()
        self.sid = self.api.session()
        self.code = self.api.code(self.sid)

    def markdown(self, path):
        answer = self.api.request("GET", path, headers={"Accept": "*/*"})
        self.assertEqual(answer.status, 200)
        self.assertTrue(answer.headers["Content-Type"].startswith("text/markdown"),
                        answer.headers["Content-Type"])
        return answer.body.decode()

    def test_the_link_is_a_redirect_that_is_not_cached(self):
        for code in (self.code, self.code.lower(), CODE):
            answer = self.api.request("GET", "/p/" + code)
            self.assertEqual(answer.status, 301)
            path = answer.headers["Location"].removeprefix(self.server.url)
            self.assertEqual(path.upper(), ("/v1/pair/%s/skill" % code).upper())
            self.assertRegex(answer.headers.get("Cache-Control", ""), "no-store|no-cache|max-age=0")
            self.assertEqual(self.api.request("GET", path).status, 200)

    def test_the_page_teaches_the_protocol_with_the_code_filled_in(self):
        text = self.markdown("/v1/pair/%s/skill" % self.code)
        for word in (self.code, "/v1/pair/%s/claim" % self.code, self.server.url, "X-Agent-Id",
                     "/messages", "curl", "nextCursor", "after=", '"text"'):
            self.assertIn(word, text)

    def test_a_code_that_cannot_be_claimed_still_teaches(self):
        session = self.api.session(maxAgents=5)
        used = self.api.code(session)
        self.expect(self.api.claim(used, "a"), 200)
        for code, words in ((used, "claimed|used"),
                            (CODE, "unknown|not known|no such|never|does not exist|not found")):
            text = self.markdown("/v1/pair/%s/skill" % code)
            self.assertRegex(text.lower(), words)
            for word in ("X-Agent-Id", "/messages", "curl"):
                self.assertIn(word, text)

    def test_the_services_own_skill(self):
        for path in ("/", "/skill.md"):
            text = self.markdown(path)
            self.assertRegex(text, r"\A---\n(?s:.*?)\n---\n")
            front = text.split("\n---\n")[0]
            self.assertRegex(front, r"(?m)^name: *\S")
            self.assertRegex(front, r"(?m)^description: *\S")
            self.assertIn("/v1/pair", text)

    def test_browsers_get_html_without_outside_resources(self):
        for path in ("/", "/v1/pair/%s/skill" % self.code, "/v1/pair/%s/skill" % CODE):
            answer = self.api.request("GET", path, headers=self.HTML)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.headers["Content-Type"].startswith("text/html"),
                            answer.headers["Content-Type"])
            text = answer.body.decode()
            self.assertRegex(text.lower(), r"\A\s*<!doctype html>")
            self.assertNotRegex(
                text, r"(?i)<(script|img|iframe|object|embed|video|audio|link)[^>]*(src|href)=")
            self.assertNotRegex(text, r"(?i)@import|url\(\s*['\"]?https?:")
        self.assertIn(
            self.code,
            self.api.request("GET", "/v1/pair/%s/skill" % self.code,
                             headers=self.HTML).body.decode())

    def test_what_a_visitor_writes_is_escaped(self):
        for path in ("/v1/pair/%3Cscript%3Ealert(1)%3C%2Fscript%3E/skill",
                     "/v1/pair/%22%3E%3Cb%3E/skill"):
            for headers in (self.HTML, {"Host": "x\"><script>alert(1)</script>", **self.HTML}):
                answer = self.api.request("GET", path, headers=headers)
                self.assertLess(answer.status, 500)
                self.assertNotIn(b"<script>alert", answer.body)
                self.assertNotIn(b"\"><b>", answer.body)

    def test_a_location_cannot_be_split(self):
        answer = self.api.request("GET", "/p/x%0d%0aSet-Cookie:%20a=b", check=False)
        self.assertIsNone(answer.headers.get("Set-Cookie"))
        self.assertLess(answer.status, 500)


class Codes(lib.Case):
    """How pairing codes are made: the alphabet and at least 40 bits."""

    def test_codes_carry_forty_bits(self):
        codes = [
            self.api.code(sid) for sid in [self.api.session()
                                           for _ in range(150)] for _ in range(10)
        ]
        self.assertEqual(len(set(codes)), len(codes))
        parts = [code.split("-") for code in codes]
        letters = set("".join(part[2] for part in parts))
        self.assertTrue(letters <= set("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        for pair in ("0O", "1I"):
            self.assertFalse(set(pair) <= letters, "look-alikes %s" % pair)
        bits = 5 * math.log2(len(letters)) + sum(
            math.log2(len({part[n]
                           for part in parts}))
            for n in (0, 1))
        self.assertGreaterEqual(
            bits, 40, "%d letters seen, words %s" %
            (len(letters), [len({part[n]
                                 for part in parts})
                            for n in (0, 1)]))


class Limits(unittest.TestCase):
    """100 requests a minute and client address, tighter on claim; whose address it is."""

    def run_server(self, *args, **options):
        server = Server(*args, **options)
        self.addCleanup(server.remove)
        server.start()
        api = Api(server)
        self.addCleanup(api.close)
        return server, api

    def until_limited(self, http, most, path="/v1/session/" + UNKNOWN, method="GET", **options):
        """How many were let through before the first 429."""
        for count in range(most + 1):
            answer = http.request(method, path, **options)
            if answer.status == 429:
                self.assertEqual(answer.error, "rate_limit_exceeded")
                self.assertLessEqual(int(answer.headers["Retry-After"]), 60)
                return count
        return None

    def test_so_many_and_no_more(self):
        _, api = self.run_server(rate_limit=5)
        self.assertEqual(self.until_limited(api, 10), 5)
        self.assertEqual(api.status(UNKNOWN).status, 429)

    def test_the_limit_counts_an_address_not_a_connection(self):
        server, api = self.run_server(rate_limit=5)
        for _ in range(5):
            other = Http(server)
            other.request("GET", "/v1/session/" + UNKNOWN)
            other.close()
        self.assertEqual(self.until_limited(api, 10), 0)

    def test_a_hundred_by_default_and_claims_tighter(self):
        _, api = self.run_server(rate_limit=None)
        claims = self.until_limited(api, 100, "/v1/pair/%s/claim" % CODE, "POST", agent="a")
        self.assertIsNotNone(claims)
        self.assertTrue(0 < claims < 100, claims)
        others = self.until_limited(api, 100)
        self.assertIsNotNone(others)
        self.assertTrue(others <= 100, others)
        self.assertGreaterEqual(others + claims + 1, 99)

    def test_no_limit_when_it_is_zero(self):
        _, api = self.run_server(rate_limit=0)
        self.assertIsNone(self.until_limited(api, 300))

    def test_forwarded_addresses_mean_nothing_without_a_trusted_proxy(self):
        _, api = self.run_server(rate_limit=5)
        answers = [
            api.request("GET", "/v1/session/" + UNKNOWN,
                        headers={"X-Forwarded-For": "10.0.0.%d" % n}) for n in range(8)
        ]
        self.assertEqual([answer.status for answer in answers], [404] * 5 + [429] * 3)

    def test_forwarded_addresses_behind_a_trusted_proxy(self):
        _, api = self.run_server("--trusted-proxy", "127.0.0.1", rate_limit=5)

        def ask(forwarded):
            return api.request("GET", "/v1/session/" + UNKNOWN,
                               headers={"X-Forwarded-For": forwarded}).status

        self.assertEqual([ask("10.0.0.1") for _ in range(7)], [404] * 5 + [429] * 2)
        self.assertEqual(ask("10.0.0.2"), 404, "another client shares the first one's limit")
        self.assertEqual(ask("2001:db8::1"), 404)
        self.assertEqual([ask("10.9.9.%d, 10.0.0.3" % n) for n in range(7)], [404] * 5 + [429] * 2,
                         "what the client wrote before the proxy's own entry was believed")
        self.assertEqual([self.ask_twice(api, "10.9.8.%d" % n, "10.0.0.5") for n in range(7)],
                         [404] * 5 + [429] * 2, "the client's own field was believed")
        for hostile in ("", ",", "x", "a, b", "10.0.0.4:x", "," * 1000, "127.0.0.1", "[::1",
                        "9" * 3000):
            self.assertIn(ask(hostile), (404, 429))

    @staticmethod
    def ask_twice(api, made_up, added):
        """A proxy that adds a field of its own behind what the client sent. Returns the status."""
        with lib.connect(api.server) as sock:
            sock.sendall(b"GET /v1/session/%s HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\n"
                         b"X-Forwarded-For: %s\r\nConnection: close\r\n\r\n"
                         % (UNKNOWN.encode(), made_up.encode(), added.encode()))
            got, _ = lib.read_all(sock, 10)
        return int(got.split(b" ", 2)[1])

    def test_a_proxy_that_is_not_the_trusted_one(self):
        _, api = self.run_server("--trusted-proxy", "10.1.2.3,192.168.0.0/16", rate_limit=5)
        statuses = [
            api.request("GET", "/v1/session/" + UNKNOWN,
                        headers={"X-Forwarded-For": "10.0.0.%d" % n}).status for n in range(7)
        ]
        self.assertEqual(statuses, [404] * 5 + [429] * 2)


class Settings(unittest.TestCase):
    """The variables that work besides options, and the public URL."""

    def start(self, *args, **options):
        server = Server(*args, **options)
        self.addCleanup(server.remove)
        server.start()
        api = Api(server)
        self.addCleanup(api.close)
        return server, api

    def test_caps_from_the_environment(self):
        _, api = self.start(env={"MAX_TTL_SECONDS": "100", "MAX_AGENTS": "3"})
        self.assertEqual(api.create(ttl=100, maxAgents=3).status, 201)
        for body in ({"ttl": 101}, {"maxAgents": 4}):
            answer = api.create(**body)
            self.assertEqual((answer.status, answer.error), (400, "invalid_request"))
        made = api.create()
        self.assertEqual(made.status, 201)
        self.assertTrue(made.json["ttl"] <= 100 and made.json["maxAgents"] <= 3, made)

    def test_port_and_data_dir_from_the_environment(self):
        port = free_port()
        with tempfile.TemporaryDirectory(prefix="nexus-e2e-") as home:
            folder = os.path.join(home, "data")
            server, api = self.start(data_dir=False, listen=None,
                                     env={"PORT": str(port), "DATA_DIR": folder})
            self.assertEqual(server.port, port)
            self.assertEqual(api.create().status, 201)
            self.assertTrue(os.listdir(folder))
            server.stop()

    def test_the_public_url_is_in_links_and_pages(self):
        server, api = self.start("--public-url", "https://talk.example/")
        pair = api.pair(api.session()).json
        self.assertEqual(pair["url"], "https://talk.example/p/" + pair["code"])
        page = api.request("GET", "/v1/pair/%s/skill" % pair["code"]).body.decode()
        self.assertIn("https://talk.example/v1/pair/", page)
        self.assertNotIn(server.url, page)

    def test_links_follow_the_host_otherwise(self):
        _, api = self.start()
        body = api.request("PUT", "/v1/pair", {"sessionId": api.session()},
                           headers={"Host": "talk.example:8080"}).json
        self.assertEqual(re.sub(r"^https?://", "", body["url"]),
                         "talk.example:8080/p/" + body["code"])

    def test_settings_that_make_no_sense(self):
        for args in (("--rate-limit", "x"), ("--listen", "nonsense"), ("--no-such-option", ),
                     ("--loops", "-1")):
            server = Server(*args, listen=None if "--listen" in args else "127.0.0.1:0")
            self.addCleanup(server.remove)
            server.spawn()
            self.assertNotEqual(server.wait(), 0, args)
            self.assertTrue(server.output().strip(), "no word on %s" % (args, ))


if __name__ == "__main__":
    lib.main()
