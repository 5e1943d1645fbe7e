#!/usr/bin/env python3
"""Every malformed request a fuzzer or a person can think of gets a documented 4xx with `details`;
none a 500, a hang or a leak (the issue). The table is in hostile_cases.py; then random mutations of
good requests (HOSTILE_SEED replays a run, HOSTILE_ROUNDS lengthens it), slow and half-closed clients,
and pipelining. 501 and 505 are allowed only where RFC 9110 asks for them by name."""
import os
import random
import re
import time

import lib
from lib import Api, connect, parallel, read_all, read_answer, take_answers
from hostile_cases import AGENT, CLOSED, JSON, SID, SILENT, everything, request

DEADLINE_S = 10
SEED = int(os.environ.get("HOSTILE_SEED") or random.randrange(2**32))
ROUNDS = int(os.environ.get("HOSTILE_ROUNDS", "2000"))


class Hostile(lib.Case):

    def setUp(self):
        super().setUp()
        self.sid = self.api.session(ttl=3660, greeting="healthy")
        self.api.joined(self.sid, AGENT.decode())
        self.healthy()

    def tearDown(self):
        self.healthy()

    def healthy(self):
        api = Api(self.server)
        self.assertEqual(api.request("GET", "/health").json["status"], "ok")
        self.assertEqual(api.status(self.sid).status, 200)
        api.close()

    def wait_for_fds(self, most):
        """The server may take a moment to close what we closed."""
        end = time.monotonic() + 5
        while self.server.fds() > most and time.monotonic() < end:
            time.sleep(0.02)
        self.assertLessEqual(self.server.fds(), most, "connections leak")

    def one_case(self, data, statuses):
        """Sends, ends our side, reads to the end."""
        with connect(self.server) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(lib.socket.SHUT_WR)
            except OSError:
                pass  # it answered and closed while we were still sending
            got, closed = read_all(sock, DEADLINE_S)
        self.assertTrue(closed, "it hangs; so far: %r" % got[:300])
        if data.startswith(b"HEAD"):
            self.assertRegex(got, rb"\AHTTP/1\.1 (200|400) ")
            return
        answers, rest = take_answers(got)
        self.assertEqual(rest, b"", "half an answer")
        if not answers:
            self.assertTrue(SILENT in statuses or len(data) > 50000, "no answer")
            return
        first = answers[0]
        self.assertIn(first.status, statuses, first)
        if first.status < 500:
            for answer in answers:
                lib.check_answer(answer)
        if first.status >= 400 and CLOSED in statuses:
            self.assertEqual(len(answers), 1,
                             "what stood behind a bad request was answered: %r" % answers)
            self.assertEqual(first.headers.get("Connection", "").lower(), "close")

    def test_the_table(self):
        cases = list(everything())
        self.assertGreater(len(cases), 300)
        fds = self.server.fds()
        for name, data, statuses in cases:
            with self.subTest(name):
                self.one_case(data.replace(SID, self.sid.encode()), statuses)
        self.wait_for_fds(fds + 1)

    def test_details_name_what_was_wrong(self):
        for method, path, body, word in (("PUT", "/v1/session", {"ttl": "x"}, "ttl"),
                                         ("PUT", "/v1/sessions", {"maxAgents": 0}, "maxAgents"),
                                         ("PUT", "/v1/session", {"greeting": 7},
                                          "greeting"), ("PUT", "/v1/pair", {}, "sessionId"),
                                         ("POST", "/v1/session/%s/messages" % self.sid, {"text": 5},
                                          "text")):
            body = self.expect(self.api.request(method, path, body, agent=AGENT.decode()), 400,
                               "invalid_request")
            self.assertTrue(any(word in detail["path"] for detail in body["details"]), body)

    def good_requests(self):
        sid, agent = self.sid.encode(), b"X-Agent-Id: " + AGENT + b"\r\n"
        base = b"/v1/sessions/" + sid
        return [
            request(b"PUT", b"/v1/session", b'{"ttl":60,"greeting":"hi","maxAgents":3}', JSON),
            request(b"GET", base),
            request(b"POST", base + b"/join", None, b"X-Agent-Id: other\r\n"),
            request(b"POST", base + b"/messages", b'{"text":"hi","json":{"a":[1,2.50,{"b":null}]}}',
                    JSON + agent),
            request(b"GET", base + b"/messages?after=0&members=true", None, agent),
            request(b"POST", base + b"/renew", b'{"ttl":3660}', JSON + agent),
            request(b"DELETE", base + b"/agents/other", None,
                    b"X-Agent-Id: other\r\nX-Session-Key: " + b"0" * 64 + b"\r\n"),
            request(b"PUT", b"/v1/pair", b'{"sessionId":"' + sid + b'"}', JSON),
            request(b"POST", b"/v1/pair/PEARL-FOCAL-S5SJV/claim", None, agent),
            request(b"GET", b"/p/PEARL-FOCAL-S5SJV"), b"PUT /v1/session HTTP/1.1\r\nHost: x\r\n" +
            JSON + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{\"ttl\r\n5\r\n\":60}\r\n0\r\n\r\n"
        ]

    def mutate(self, source, data):
        tokens = [
            b"\r\n", b"\0", b" ", b"\xff", b"%00", b"%", b":", b"{", b"}", b'"', b"\\u0000",
            b"Content-Length: 5\r\n", b"\n", b"\r", b"-1", b"Transfer-Encoding: chunked\r\n",
            b"99999999999999999999", b"/", b"?", b"Host: y\r\n", b"Expect: 100-continue\r\n",
            b"\x80", b"1e999"
        ]
        for _ in range(source.choice((1, 1, 1, 2, 3, 8))):
            kind, at = source.randrange(7), source.randrange(len(data) + 1)
            if kind == 0:
                data = data[:at] + bytes([source.randrange(256)]) + data[at + 1:]
            elif kind == 1:
                data = data[:at] + source.choice(tokens) + data[at:]
            elif kind == 2:
                data = data[:at] + data[at + source.randrange(1, 20):]
            elif kind == 3:
                data = data[:at]
            elif kind == 4:
                piece = data[at:at + source.randrange(1, 60)]
                data = data[:at] + piece * source.choice((2, 3, 50)) + data[at:]
            elif kind == 5:
                other = source.choice(self.good_requests())
                data = data[:at] + other[source.randrange(len(other)):]
            else:
                data = data[:at] + bytes([data[at] ^ (1 << source.randrange(8))
                                          ]) + data[at + 1:] if at < len(data) else data
        return data

    def test_random_mutations(self):
        source = random.Random(SEED)
        print("hostile.py: HOSTILE_SEED=%d HOSTILE_ROUNDS=%d" % (SEED, ROUNDS), flush=True)
        answered, rss, fds = {}, None, None
        for number in range(ROUNDS):
            data = self.mutate(source, source.choice(self.good_requests()))
            with self.subTest(seed=SEED, number=number, data=data[:200]):
                with connect(self.server) as sock:
                    try:
                        for piece in self.pieces(source, data):
                            sock.sendall(piece)
                        sock.shutdown(lib.socket.SHUT_WR)
                    except OSError:
                        pass
                    got, closed = read_all(sock, DEADLINE_S)
                self.assertTrue(closed, "it hangs; so far %r" % got[:300])
                statuses = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d\d\d) ", got)]
                for status in statuses:
                    answered[status] = answered.get(status, 0) + 1
                    self.assertTrue(status < 500 or status in (501, 505), got[:300])
                if statuses and data[:4] != b"HEAD":
                    for answer in take_answers(got)[0]:
                        if answer.status >= 200:
                            lib.check_answer(answer)
            if number == ROUNDS // 4:
                rss, fds = self.server.rss_kib(), self.server.fds()
        self.assertTrue(answered.get(400, 0) > ROUNDS // 20, answered)
        self.wait_for_fds(fds + 1)
        if not lib.sanitized():
            self.assertLess(self.server.rss_kib() - rss, 8 * 1024, "memory grows, KiB")

    def test_refusals_leave_nothing_behind(self):
        """The same refusals and reads over and over: memory stands still."""
        base, agent = "%s/%s" % (self.api.base, self.sid), AGENT.decode()
        code = self.api.code(self.sid)
        cycle = [("GET", base, None), ("GET", base + "/messages", None),
                 ("POST", base + "/messages", {"text": 1}), ("POST", base + "/messages", b"{"),
                 ("PATCH", base, None), ("GET", "/nowhere", None), ("PUT", "/v1/pair", {}),
                 ("PUT", "/v1/session", {"ttl": 0}), ("POST", base + "/join", None),
                 ("GET", "/v1/pair/%s/skill" % code, None),
                 ("POST", "/v1/pair/%s/claim" % code, None),
                 ("DELETE", base + "/agents/" + agent, None),
                 ("POST", base + "/renew", {"ttl": 600}), ("GET", "/v1/sessions/" + "0" * 48, None),
                 ("GET", "/v1/stats", None)]
        rss = None
        for number in range(500):
            for method, path, body in cycle:
                self.assertLess(
                    self.api.request(method, path, body, agent=agent, check=False).status, 500)
            if number == 100:
                rss = self.server.rss_kib()
        if not lib.sanitized():
            self.assertLess(self.server.rss_kib() - rss, 1024, "memory grows, KiB")

    @staticmethod
    def pieces(source, data):
        """The data whole, or cut somewhere."""
        if source.random() < 0.7 or len(data) < 2:
            return [data]
        at = source.randrange(1, len(data))
        return [data[:at], data[at:]]


class Clients(lib.Case):
    """Clients that behave, yet oddly: in one go, byte by byte, half closed, slow, or not at all."""

    def setUp(self):
        super().setUp()
        self.sid = self.api.session()
        self.api.joined(self.sid, "a")

    def test_pipelined_requests_are_answered_in_order(self):
        path = b"/v1/sessions/%s/messages" % self.sid.encode()
        data, count = b"", 40
        for number in range(count):
            data += request(b"POST", path, b'{"text":"%d"}' % number, JSON + b"X-Agent-Id: a\r\n")
            data += request(b"GET", path + b"?after=%d" % number, None, b"X-Agent-Id: a\r\n")
        with connect(self.server) as sock:
            sock.sendall(data)
            rest = b""
            for number in range(count):
                sent, rest, _ = read_answer(sock, rest)
                self.assertEqual(self.expect(sent, 201)["cursor"], str(number + 1))
                polled, rest, _ = read_answer(sock, rest)
                self.assertEqual([m["text"] for m in self.expect(polled, 200)["messages"]],
                                 [str(number)])
        self.assertEqual(rest, b"")

    def test_pipelined_durable_requests_are_answered_in_order(self):
        data = b"".join(
            request(b"PUT", b"/v1/session", b'{"ttl":%d}' % (100 + n), JSON) for n in range(30))
        with connect(self.server) as sock:
            sock.sendall(data)
            rest, ttls = b"", []
            for _ in range(30):
                answer, rest, _ = read_answer(sock, rest)
                ttls.append(self.expect(answer, 201)["ttl"])
        self.assertEqual(ttls, list(range(100, 130)))

    def test_byte_by_byte(self):
        data = request(b"PUT", b"/v1/session", b'{"ttl":77}', JSON)
        with connect(self.server) as sock:
            for byte in data:
                sock.sendall(bytes([byte]))
            answer, _, _ = read_answer(sock)
            self.assertEqual(self.expect(answer, 201)["ttl"], 77)

    def test_a_half_closed_client_still_gets_its_answer(self):
        for data, status in ((request(b"GET", b"/health"), 200),
                             (request(b"PUT", b"/v1/session", b"{}",
                                      JSON), 201), (request(b"GET", b"/health") * 3, 200)):
            with connect(self.server) as sock:
                sock.sendall(data)
                sock.shutdown(lib.socket.SHUT_WR)
                got, closed = read_all(sock)
                answers, rest = take_answers(got)
                self.assertTrue(closed)
                self.assertEqual(([answer.status for answer in answers], rest),
                                 ([status] * data.count(b"HTTP/1.1"), b""))

    def test_keep_alive_and_close(self):
        with connect(self.server) as sock:
            for _ in range(3):
                sock.sendall(request(b"GET", b"/health"))
                answer, rest, closed = read_answer(sock)
                self.assertEqual((answer.status, rest, closed), (200, b"", False))
            sock.sendall(request(b"GET", b"/health", None, b"Connection: close\r\n"))
            got, closed = read_all(sock)
            self.assertTrue(closed)
            self.assertEqual(take_answers(got)[0][0].headers["Connection"].lower(), "close")
        with connect(self.server) as sock:
            sock.sendall(request(b"GET", b"/health", version=b"HTTP/1.0"))
            got, closed = read_all(sock)
            self.assertTrue(closed, "HTTP/1.0 without keep-alive stays open")
            self.assertEqual(take_answers(got)[0][0].status, 200)

    def test_continue(self):
        with connect(self.server) as sock:
            sock.sendall(b"PUT /v1/session HTTP/1.1\r\nHost: x\r\n" + JSON +
                         b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
            first, rest, _ = read_answer(sock)
            self.assertEqual(first.status, 100)
            sock.sendall(b"{}")
            answer, _, _ = read_answer(sock, rest)
            self.expect(answer, 201)
        with connect(self.server) as sock:
            sock.sendall(b"PUT /v1/session HTTP/1.1\r\nHost: x\r\n" + JSON +
                         b"Content-Length: 999999999\r\nExpect: 100-continue\r\n\r\n")
            answer, _, _ = read_answer(sock)
            self.assertEqual(answer.status, 413, "a body too large was asked for")

    def test_slow_heads_are_cut_off_and_disturb_nobody(self):
        """A head has ten seconds, whether it trickles or stops."""

        def trickle(data, pause_s):
            start = time.monotonic()
            with connect(self.server) as sock:
                sock.settimeout(pause_s)
                sent = 0
                while time.monotonic() - start < 25:
                    try:
                        if sent < len(data):
                            sock.sendall(data[sent:sent + 1])
                            sent += 1
                        got = sock.recv(65536)
                        return time.monotonic() - start, got
                    except TimeoutError:
                        continue
                    except OSError:
                        return time.monotonic() - start, b""
            return None, b""

        head = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 100

        def others():
            api, slowest, end = Api(self.server), 0, time.monotonic() + 9
            while time.monotonic() < end:
                start = time.monotonic()
                self.assertEqual(api.request("GET", "/health").status, 200)
                slowest = max(slowest, time.monotonic() - start)
                time.sleep(0.05)
            api.close()
            return slowest

        results = parallel([lambda: trickle(head, 0.5)
                            for _ in range(8)] + [lambda: trickle(b"GET /hea", 0.5)] * 4 + [others],
                           40)
        for took, got in results[:-1]:
            self.assertIsNotNone(took, "still open after 25 s")
            self.assertTrue(7 < took < 20, took)
            if got:
                self.assertRegex(got, rb"\AHTTP/1\.1 408 ")
        self.assertLess(results[-1], 2, "others had to wait")

    def test_many_silent_connections(self):
        fds = self.server.fds()
        socks = [connect(self.server) for _ in range(300)]
        try:
            self.assertEqual(self.api.request("GET", "/health").status, 200)
            for sock in socks[::2]:
                sock.sendall(b"GET /hea")
            self.assertEqual(self.api.status(self.sid).status, 200)
        finally:
            for sock in socks:
                sock.close()
        end = time.monotonic() + 5
        while self.server.fds() > fds + 1 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertLessEqual(self.server.fds(), fds + 1)

    def test_resets_in_the_middle(self):
        import struct
        fds = self.server.fds()
        data = request(b"PUT", b"/v1/session", b'{"ttl":60}', JSON)
        for number in range(200):
            sock = connect(self.server)
            sock.setsockopt(lib.socket.SOL_SOCKET, lib.socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(data[:1 + number % len(data)] if number % 3 else data * 5)
            sock.close()  # sends RST
        self.assertEqual(self.api.request("GET", "/health").status, 200)
        end = time.monotonic() + 5
        while self.server.fds() > fds + 1 and time.monotonic() < end:
            time.sleep(0.02)
        self.assertLessEqual(self.server.fds(), fds + 1)

    def test_a_reader_that_never_reads_is_bounded(self):
        """Large answers asked for and not taken: the server must not hold them all."""
        for number in range(20):
            self.expect(self.api.send(self.sid, "a", "%d" % number + "x" * 50000), 201)
        poll = request(b"GET", b"/v1/sessions/%s/messages?after=0" % self.sid.encode(), None,
                       b"X-Agent-Id: a\r\n")
        before = self.server.rss_kib()
        socks = [connect(self.server, 5) for _ in range(4)]
        for sock in socks:
            sock.settimeout(0.3)
            try:
                sock.sendall(poll * 2000)  # two gigabytes of answers
            except OSError:
                pass
        time.sleep(0.5)
        self.assertEqual(self.api.request("GET", "/health").status, 200)
        grown = self.server.rss_kib() - before
        for sock in socks:
            sock.close()
        if not lib.sanitized():
            self.assertLess(grown, 100 * 1024, "KiB held for readers that do not read")


if __name__ == "__main__":
    lib.main()
