#!/usr/bin/env python3
"""Every table has a maximum, and reaching it is a defined outcome (docs: ARCHITECTURE, rule 2; the
issue, "a full data folder gives a clear refusal, 503 while running, never silent loss"): a refusal that
says so, nothing lost of what was acknowledged, others undisturbed, and room again makes it work again."""
import time
import unittest

import lib
from lib import Api, Server, connect

REFUSALS = (409, 413, 429, 503)  # what a full table may say: never a 500


class Limits(unittest.TestCase):

    def start(self, *args, **options):
        server = Server(*args, **options)
        self.addCleanup(server.remove)
        server.start()
        api = Api(server)
        self.addCleanup(api.close)
        return server, api

    def until_refused(self, action, most):
        """Repeats until an answer is no success. Returns the answers before it, and it."""
        answers = []
        for number in range(most):
            answer = action(number)
            if answer.status >= 300:
                self.assertIn(answer.status, REFUSALS, answer)
                return answers, answer
            answers.append(answer)
        self.fail("never refused in %d" % most)

    def test_a_full_store_refuses_with_503_and_loses_nothing(self):
        server, api = self.start("--max-store", 2 << 20, "--durable-messages")
        old = api.session(creatorAgentId="boss")
        made, refused = self.until_refused(lambda n: api.create(greeting="g" * 20000, ttl=5000),
                                           2000)
        self.assertEqual(refused.status, 503)
        self.assertGreater(len(made), 5)
        self.assertEqual(api.request("GET", "/health").status, 200)
        self.assertEqual(api.poll(old, "boss").status, 200)
        self.assertEqual(api.status(old).status, 200)
        for answer in made:
            self.assertEqual(api.status(answer.json["sessionId"]).status, 200)
        api.close()
        server.stop()
        server.start()
        sids = [answer.json["sessionId"] for answer in made] + [old]
        self.assertEqual({api.status(sid).status for sid in sids}, {200}, "acknowledged, then lost")

    def test_a_full_store_takes_more_when_there_is_room_again(self):
        _, api = self.start("--max-store", 2 << 20)
        keep = api.session(ttl=600)
        self.until_refused(lambda n: api.create(greeting="g" * 20000, ttl=2), 2000)
        end = time.monotonic() + 12
        while time.monotonic() < end:
            answer = api.create(ttl=60)
            if answer.status == 201:
                break
            self.assertEqual(answer.status, 503, answer)
            time.sleep(0.2)
        self.assertEqual(answer.status, 201, "expired sessions made no room")
        self.assertEqual(api.status(keep).status, 200)

    def test_what_a_full_store_undid_is_not_counted(self):
        _, api = self.start("--max-store", 2 << 20, "--max-sessions", 110)
        refused, end = 0, time.monotonic() + 30
        while refused < 15 and time.monotonic() < end:
            refused += api.create(greeting="g" * 20000, ttl=1).status == 503
            time.sleep(0.03 if refused else 0)
        self.assertEqual(refused, 15)
        while time.monotonic() < end and api.request("GET", "/v1/stats").json["activeSessions"]:
            time.sleep(0.1)
        made = 0
        while made < 110 and time.monotonic() < end:
            made += api.create(ttl=600).status == 201
        self.assertEqual(made, 110, "sessions that never were take the place of others")

    def test_no_more_sessions_than_allowed(self):
        _, api = self.start("--max-sessions", 10)
        made, _ = self.until_refused(lambda n: api.create(ttl=2 if n % 2 else 60), 20)
        self.assertEqual(len(made), 10)
        end = time.monotonic() + 6
        while time.monotonic() < end and api.create(ttl=60).status != 201:
            time.sleep(0.1)
        self.assertLess(time.monotonic(), end, "expired sessions made no room")
        self.assertEqual(api.request("GET", "/health").status, 200)

    def test_the_messages_of_one_session_are_bounded(self):
        for args in ((), ("--durable-messages", )):
            server, api = self.start("--max-session-bytes", 100000, *args)
            sid, other = api.session(), api.session()
            key = api.joined(sid, "a")
            api.joined(other, "a")
            sent, _ = self.until_refused(lambda n: api.send(sid, "a", "x" * 5000, key), 100)
            self.assertTrue(10 <= len(sent) <= 20, len(sent))
            self.assertEqual(len(api.poll(sid, "a").json["messages"]), len(sent),
                             "a message was dropped silently")
            self.assertEqual(api.send(other, "a", "x" * 5000).status, 201)
            api.close()
            server.stop()

    def test_the_messages_of_all_sessions_are_bounded(self):
        _, api = self.start("--max-memory", 200000)
        sids = [api.session(ttl=2) for _ in range(10)]
        for sid in sids:
            api.joined(sid, "a")
        self.until_refused(lambda n: api.send(sids[n % 10], "a", "x" * 5000), 100)
        time.sleep(2.5)
        sid = api.session()
        api.joined(sid, "a")
        self.assertEqual(
            api.send(sid, "a", "x" * 5000).status, 201, "expired sessions made no room")

    def test_connections_are_bounded_and_come_back(self):
        server, api = self.start("--max-connections", 20)
        socks = [connect(server) for _ in range(60)]
        time.sleep(0.3)
        self.assertLess(server.fds(), 80)
        for sock in socks:
            sock.close()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                if api.request("GET", "/health").status == 200:
                    break
            except OSError:
                pass
            except lib.http.client.HTTPException:
                pass
            time.sleep(0.1)
        self.assertLess(time.monotonic(), end, "nobody gets in any more")

    def test_answers_that_nobody_reads_are_bounded(self):
        server, api = self.start("--loops", 1)
        sid = api.session()
        key = api.joined(sid, "a")
        for _ in range(20):
            self.assertEqual(api.send(sid, "a", "x" * 250000, key=key).status, 201)
        poll = b"GET /v1/sessions/%s/messages HTTP/1.1\r\nHost: x\r\nX-Agent-Id: a\r\n\r\n" % sid.encode()
        before = server.rss_kib()
        socks = []
        for _ in range(150):  # 600 MiB, if each got a whole page
            sock = connect(server)
            self.addCleanup(sock.close)
            sock.sendall(poll)
            socks.append(sock)
        time.sleep(1)
        self.assertEqual(api.request("GET", "/health").status, 200)
        held = server.rss_kib() - before
        if not lib.sanitized():
            self.assertLess(held, 200 * 1024, "KiB held for those who do not read")
        # Who reads gets a page all the same, only a shorter one, and can go on from it.
        answer = api.poll(sid, "a", after=0)
        self.assertTrue(answer.json["hasMore"])
        self.assertEqual(answer.json["messages"][0]["cursor"], "1")

    def test_a_body_limit_of_ones_own(self):
        _, api = self.start("--max-body", 2000)
        self.assertEqual(api.create(greeting="x" * 1000).status, 201)
        answer = api.create(greeting="x" * 3000)
        self.assertEqual((answer.status, answer.error), (413, "payload_too_large"))

    def test_seats_when_none_are_asked_for_are_a_setting(self):
        _, api = self.start("--default-agents", 2, "--default-agents-v1", 3)
        self.assertEqual(api.create().json["maxAgents"], 2)
        api.base = "/v1/session"
        self.assertEqual(api.create().json["maxAgents"], 3)

    def test_open_codes_of_a_session_are_bounded(self):
        server, api = self.start()
        sid = api.session()
        before = server.rss_kib()
        try:
            self.until_refused(lambda n: api.pair(sid), 20000)
        except AssertionError:
            self.assertLess(server.rss_kib() - before, 64 * 1024)
            raise
        self.assertEqual(api.status(sid).status, 200)

    def test_in_memory_keeps_nothing(self):
        server, api = self.start("--in-memory", data_dir=False)
        sid = api.session()
        api.close()
        server.stop()
        server.start()
        self.assertEqual(api.status(sid).status, 404)


if __name__ == "__main__":
    lib.main()
