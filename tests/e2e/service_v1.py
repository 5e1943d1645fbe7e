#!/usr/bin/env python3
"""Generation 1 of the session API (docs: wire, sections 1 to 3): everything both generations
share under /v1/session, and what only generation 1 does: two seats when none are asked for, and no
keys, so that joining again is always welcome and a wrong key only means "not verified"."""
import lib
from service_common import Common


class GenerationOne(Common, lib.Case):
    gen = 1

    def test_two_seats_by_default(self):
        body = self.expect(self.api.create(), 201)
        self.assertEqual(body["maxAgents"], 2)
        sid = body["sessionId"]
        self.assertEqual(self.expect(self.api.status(sid), 200)["maxAgents"], 2)
        self.api.joined(sid, "a")
        self.api.joined(sid, "b")
        self.expect(self.api.join(sid, "c"), 409, "session_full")

    def test_joining_again_is_welcome_and_carries_no_key(self):
        sid = self.api.session()
        first = self.expect(self.api.join(sid, "a"), 200)
        for key in (None, "nonsense", "0" * 64):
            with self.subTest(key=key):
                body = self.expect(self.api.join(sid, "a", key), 200)
                self.keys(body, "status sessionId agentsOnline expiresAt")
                self.assertEqual((body["status"], body["agentsOnline"]), ("joined", 1))
        self.expect(self.api.join(sid, "a", first["sessionKey"]), 200)
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], ["a"])
        self.expect(self.api.send(sid, "a", "still mine", first["sessionKey"]), 201)
        self.assertTrue(self.expect(self.api.poll(sid, "a"), 200)["messages"][0]["verified"])

    def test_joining_again_works_in_a_full_session(self):
        sid = self.api.session(creatorAgentId="boss")
        self.api.joined(sid, "b")
        for agent in ("boss", "b"):
            self.assertNotIn("sessionKey", self.expect(self.api.join(sid, agent), 200))
        messages = self.expect(self.api.poll(sid, "b"), 200)["messages"]
        self.assertEqual(len(messages), 1, "joining again reminded again")

    def test_a_wrong_key_is_not_verified(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        other = self.api.joined(sid, "b")
        for key in ("nonsense", other, "", "0" * 64, "0" * 5000):
            with self.subTest(key=key[:70]):
                self.expect(self.api.send(sid, "a", "x", key), 201)
        messages = self.expect(self.api.poll(sid, "b", "1"), 200)["messages"]
        self.assertEqual([m["verified"] for m in messages], [False] * 5)

    def test_claiming_counts_as_generation_two(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        self.expect(self.api.claim(self.api.code(sid), "a"), 409, "agent_id_taken")


if __name__ == "__main__":
    lib.main()
