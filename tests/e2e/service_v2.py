#!/usr/bin/env python3
"""Generation 2 of the session API (docs: wire, sections 1 to 3): everything both generations
share under /v1/sessions, and what only generation 2 does: fifty seats when none are asked for, a
key that proves a member, and the members' list in a poll."""
import time

import lib
from service_common import Common


class GenerationTwo(Common, lib.Case):
    gen = 2

    def test_fifty_seats_by_default(self):
        body = self.expect(self.api.create(), 201)
        self.assertEqual(body["maxAgents"], 50)
        self.assertEqual(self.expect(self.api.status(body["sessionId"]), 200)["maxAgents"], 50)

    def test_fifty_agents(self):
        sid = self.api.session()
        for number in range(50):
            self.assertEqual(
                self.expect(self.api.join(sid, "agent-%d" % number), 200)["agentsOnline"],
                number + 1)
        self.expect(self.api.join(sid, "one-more"), 409, "session_full")
        self.assertEqual(
            self.expect(self.api.status(sid), 200)["agents"], ["agent-%d" % n for n in range(50)])

    def test_joining_again_needs_the_key(self):
        sid = self.api.session()
        first = self.expect(self.api.join(sid, "a"), 200)
        other = self.api.joined(sid, "b")
        again = self.expect(self.api.join(sid, "a", first["sessionKey"]), 200)
        self.keys(again, "status sessionId agentsOnline sessionKey expiresAt")
        self.assertEqual((again["sessionKey"], again["agentsOnline"]), (first["sessionKey"], 2))
        for key in (None, "", "nonsense", other, first["sessionKey"][:-1],
                    first["sessionKey"] + "0", "0" * 64):
            with self.subTest(key=key):
                self.expect(self.api.join(sid, "a", key), 409, "agent_id_taken")
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], ["a", "b"])

    def test_joining_again_in_a_full_session(self):
        made = self.expect(self.api.create(creatorAgentId="boss", maxAgents=1), 201)
        sid, key = made["sessionId"], made["sessionKey"]
        self.assertEqual(self.expect(self.api.join(sid, "boss", key), 200)["sessionKey"], key)
        self.expect(self.api.join(sid, "boss"), 409, "agent_id_taken")
        self.expect(self.api.join(sid, "c"), 409, "session_full")

    def test_a_wrong_key_is_refused(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        other = self.api.joined(sid, "b")
        for key in ("nonsense", other, "0" * 64, "0" * 5000):
            with self.subTest(key=key[:70]):
                self.expect(self.api.send(sid, "a", "x", key), 403, "invalid_session_key")
        self.assertEqual(len(self.expect(self.api.poll(sid, "b", "1"), 200)["messages"]), 0)
        self.expect(self.api.send(sid, "stranger", "x", other), 403, "forbidden")

    def test_members_in_a_poll(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        self.api.joined(sid, "b")
        self.api.send(sid, "b", "x")
        body = self.expect(self.api.poll(sid, "a", query="?after=1&members=true"), 200)
        self.keys(body, "messages nextCursor members")
        self.assertEqual([m["agentId"] for m in body["members"]], ["a", "b"])
        for member in body["members"]:
            self.keys(member, "agentId lastSeenAt")
        self.assertLess(abs(lib.seconds(body["members"][1]["lastSeenAt"]) - time.time()), 3)
        for query in ("?members=false", "?after=1", ""):
            self.assertNotIn("members", self.expect(self.api.poll(sid, "a", query=query), 200))

    def test_a_claim_by_a_member_is_a_reconnect_only_with_the_key(self):
        sid = self.api.session()
        key = self.api.joined(sid, "a")
        code = self.api.code(sid)
        self.expect(self.api.claim(code, "a"), 409, "agent_id_taken")
        self.assertEqual(self.expect(self.api.pair_status(code), 200)["state"], "pending")
        self.assertEqual(self.expect(self.api.claim(code, "a", key), 200)["sessionKey"], key)


if __name__ == "__main__":
    lib.main()
