"""What both generations of the session API promise alike (docs: wire, sections 1 to 3): a mixin
that service_v1.py and service_v2.py run under their own spelling. Not runnable alone.

What the two do differently is tested in those files; what has no generation in service_http.py.
"""
import re
import time

from lib import Api, Server, seconds

HEX48, HEX64 = r"[0-9a-f]{48}", r"[0-9a-f]{64}"
UNKNOWN = "0123456789abcdef" * 3
CRON = "This is an async conversation. Set up a cron job (every 3-5 minutes)"
MESSAGE = "id agentId from text cursor verified createdAt expiresAt"
BAD_AGENTS = [
    "a b", "a.b", "a/b", "ä", "a:b", "a@b", "*", "a\tb", "a%41", "a,b", "x" * 129, "x" * 4000,
    "-\x7f", "é" * 3
]
GOOD_AGENTS = ["a", "A-b_9", "-", "_", "0", "x" * 128, "System", "systems", "SYSTEM", "null", "404"]


def near(testcase, time_text, wanted_s, slack_s=3):
    testcase.assertLess(abs(seconds(time_text) - wanted_s), slack_s, time_text)


class Sessions:
    """Create, status, join, renew, leave, expiry."""

    def test_create_answers_these_fields(self):
        body = self.expect(self.api.create(), 201)
        self.keys(body, "sessionId ttl maxAgents state")
        self.assertRegex(body["sessionId"], "^%s$" % HEX48)
        self.assertEqual((body["ttl"], body["state"]), (3660, "active"))

    def test_create_with_every_field(self):
        body = self.expect(
            self.api.create(ttl=60, maxAgents=7, greeting="hi", creatorAgentId="boss"), 201)
        self.keys(body, "sessionId ttl maxAgents state creatorAgentId sessionKey")
        self.assertEqual((body["ttl"], body["maxAgents"], body["creatorAgentId"]), (60, 7, "boss"))
        self.assertRegex(body["sessionKey"], "^%s$" % HEX64)
        status = self.expect(self.api.status(body["sessionId"]), 200)
        self.assertEqual(status["agents"], ["boss"])
        self.assertEqual(
            self.expect(self.api.send(body["sessionId"], "boss", "hi", body["sessionKey"]),
                        201)["cursor"], "1")

    def test_create_with_an_empty_body_or_none_and_unknown_fields(self):
        for body, headers in ((None, {}), (None, {"Content-Type": "text/plain"}), (b"{}", {}),
                              (b" {} ", {}), (b"", {}), (b'{"unknown":1,"ttl":60,"state":"x"}',
                                                         {})):
            with self.subTest(body=body, headers=headers):
                self.expect(self.api.request("PUT", self.api.base, body, headers=headers), 201)

    def test_ids_are_random(self):
        ids = {self.api.session() for _ in range(64)}
        self.assertEqual(len(ids), 64)
        for position in range(48):
            self.assertGreater(len({sid[position]
                                    for sid in ids}), 4, "digit %d hardly moves" % position)

    def test_ttl_and_max_agents_within_their_bounds(self):
        for field, value in (("ttl", 1), ("ttl", 86400), ("maxAgents", 1), ("maxAgents", 50)):
            with self.subTest(field=field, value=value):
                self.assertEqual(self.expect(self.api.create(**{field: value}), 201)[field], value)

    def test_ttl_and_max_agents_out_of_bounds_and_wrong_types(self):
        cases = [("ttl", value)
                 for value in (86401, 0, -1, 10**12, 10**30, 1.5, "60", True, [], {})]
        cases += [("maxAgents", value) for value in (51, 0, -1, 10**30, 2.5, "2", False, [2], {})]
        cases += [("greeting", value) for value in (1, True, [], {})]
        cases += [("creatorAgentId", value) for value in ("", "a b", "system", "x" * 129, "ä", 1,
                                                          True, [], {}, "a\u0000b", "a\n")]
        for field, value in cases:
            with self.subTest(field=field, value=value):
                body = self.expect(self.api.create(**{field: value}), 400, "invalid_request")
                self.assertTrue(any(field in detail["path"] for detail in body["details"]), body)

    def test_every_wrong_field_is_named(self):
        body = self.expect(self.api.create(ttl=0, maxAgents=0), 400, "invalid_request")
        self.assertGreaterEqual(len(body["details"]), 1)

    def test_status_fields(self):
        before = time.time()
        sid = self.api.session()
        body = self.expect(self.api.status(sid), 200)
        self.keys(body, "sessionId state agents members ttl maxAgents createdAt expiresAt")
        self.assertEqual(
            (body["sessionId"], body["state"], body["agents"], body["members"], body["ttl"]),
            (sid, "active", [], [], 3660))
        near(self, body["createdAt"], before)
        near(self, body["expiresAt"], before + 3660)

    def test_status_optional_fields_and_members(self):
        made = self.expect(self.api.create(greeting="Grüß dich \"du\"", creatorAgentId="boss"), 201)
        sid = made["sessionId"]
        self.api.joined(sid, "second")
        body = self.expect(self.api.status(sid), 200)
        self.keys(
            body,
            "sessionId state agents members ttl maxAgents creatorAgentId greeting createdAt expiresAt"
        )
        self.assertEqual((body["creatorAgentId"], body["greeting"]), ("boss", "Grüß dich \"du\""))
        self.assertEqual(sorted(body["agents"]), ["boss", "second"])
        self.assertEqual([member["agentId"] for member in body["members"]], body["agents"])
        for member in body["members"]:
            self.keys(member, "agentId joinedAt lastSeenAt")
            near(self, member["joinedAt"], time.time())

    def test_last_seen_is_the_last_send_or_poll(self):
        sid = self.api.session()
        self.api.joined(sid, "a")

        def seen():
            return self.expect(self.api.status(sid), 200)["members"][0]["lastSeenAt"]

        marks = []
        for touch in (lambda: self.api.send(sid, "a", "x"), lambda: self.api.poll(sid, "a")):
            time.sleep(0.02)
            self.assertLess(touch().status, 300)
            marks.append(seconds(seen()))
            time.sleep(0.02)
            self.assertEqual(seconds(seen()), marks[-1], "a status moved lastSeenAt")
        self.assertLess(marks[0], marks[1])

    def test_a_session_id_that_is_none(self):
        for sid in (UNKNOWN, "x", UNKNOWN.upper(), "0" * 47, "0" * 49, "%20", "a" * 2000, "..%2f",
                    "session", "null"):
            with self.subTest(sid=sid):
                body = self.expect(self.api.status(sid), 404, "session_not_found")
                self.assertNotIn("expired", str(body).lower(), "it never was: nothing expired")
        for answer in (self.api.join(UNKNOWN, "a"), self.api.send(UNKNOWN, "a",
                                                                  "x"), self.api.poll(UNKNOWN, "a"),
                       self.api.renew(UNKNOWN, "a"), self.api.leave(UNKNOWN, "a", "k"),
                       self.api.pair(UNKNOWN), self.api.pair("x")):
            self.expect(answer, 404, "session_not_found")

    def test_join_fields(self):
        sid = self.api.session(maxAgents=3, ttl=600)
        body = self.expect(self.api.join(sid, "a"), 200)
        self.keys(body, "status sessionId agentsOnline sessionKey expiresAt")
        self.assertEqual((body["status"], body["sessionId"], body["agentsOnline"]),
                         ("joined", sid, 1))
        self.assertRegex(body["sessionKey"], "^%s$" % HEX64)
        near(self, body["expiresAt"], time.time() + 600)
        other = self.expect(self.api.join(sid, "b"), 200)
        self.assertEqual(other["agentsOnline"], 2)
        self.assertNotEqual(other["sessionKey"], body["sessionKey"])

    def test_agent_ids(self):
        sid = self.api.session(maxAgents=50)
        for agent in GOOD_AGENTS:
            with self.subTest(agent=agent):
                self.expect(self.api.join(sid, agent), 200)
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], GOOD_AGENTS)
        self.expect(self.api.join(sid, None), 400, "missing_agent_id")
        for agent in BAD_AGENTS + ["system"]:
            with self.subTest(agent=agent):
                self.expect(self.api.join(sid, agent.encode()), 400, "invalid_request")
        self.assertEqual(self.api.join(sid, "").status, 400)

    def test_the_header_name_has_no_case(self):
        sid = self.api.session()
        path = "%s/%s/join" % (self.api.base, sid)
        self.expect(self.api.request("POST", path, headers={"x-AGENT-id": "a"}), 200)

    def test_a_full_session(self):
        sid = self.api.session(maxAgents=2)
        self.api.joined(sid, "a")
        self.api.joined(sid, "b")
        self.expect(self.api.join(sid, "c"), 409, "session_full")
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], ["a", "b"])

    def test_the_creator_takes_a_seat(self):
        sid = self.api.session(maxAgents=1, creatorAgentId="boss")
        self.expect(self.api.join(sid, "c"), 409, "session_full")

    def test_agents_of_different_sessions_are_strangers(self):
        first, second = self.api.session(), self.api.session()
        key = self.api.joined(first, "a")
        self.expect(self.api.send(second, "a", "x", key), 403, "forbidden")
        self.api.joined(second, "a")
        self.api.send(second, "a", "only here")
        self.assertEqual(self.expect(self.api.poll(first, "a"), 200)["messages"], [])

    def test_renew(self):
        sid = self.api.session(ttl=600)
        self.api.joined(sid, "a")
        body = self.expect(self.api.renew(sid, "a"), 200)
        self.keys(body, "sessionId state ttl expiresAt agents")
        self.assertEqual((body["sessionId"], body["state"], body["ttl"], body["agents"]),
                         (sid, "active", 600, ["a"]))
        near(self, body["expiresAt"], time.time() + 600)
        self.assertEqual(self.expect(self.api.renew(sid, "a", {}), 200)["ttl"], 600)
        body = self.expect(self.api.renew(sid, "a", {"ttl": 1200, "other": 1}), 200)
        self.assertEqual(body["ttl"], 1200)
        near(self, body["expiresAt"], time.time() + 1200)
        status = self.expect(self.api.status(sid), 200)
        self.assertEqual((status["ttl"], status["expiresAt"]), (1200, body["expiresAt"]))
        near(self, self.expect(self.api.send(sid, "a", "x"), 201)["expiresAt"], time.time() + 1200)

    def test_renew_failures(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        self.expect(self.api.renew(sid, "b"), 403, "agent_not_in_session")
        self.expect(self.api.renew(sid, None), 400, "missing_agent_id")
        for value in (86401, 0, -5, "60", 1.5, [], True):
            body = self.expect(self.api.renew(sid, "a", {"ttl": value}), 400, "invalid_request")
            self.assertTrue(any("ttl" in detail["path"] for detail in body["details"]), body)
        self.assertEqual(self.expect(self.api.status(sid), 200)["ttl"], 3660)

    def test_leave_checks_in_this_order(self):
        made = self.expect(self.api.create(creatorAgentId="boss"), 201)
        sid, boss_key = made["sessionId"], made["sessionKey"]
        key = self.api.joined(sid, "a")
        leave, expect = self.api.leave, self.expect
        expect(leave(UNKNOWN, "a", None, header=None), 404, "session_not_found")
        expect(leave(sid, "a", None, header=None), 400, "missing_agent_id")
        expect(leave(sid, "a", key, header=None), 400, "missing_agent_id")
        expect(leave(sid, "a", None, header="b"), 403, "forbidden")
        expect(leave(sid, "a", key, header="b"), 403, "forbidden")
        expect(leave(sid, "stranger", None, header="a"), 403, "forbidden")
        expect(leave(sid, "stranger", None), 401, "missing_session_key")
        expect(leave(sid, "a", None), 401, "missing_session_key")
        expect(leave(sid, "stranger", key), 404, "agent_not_found")
        expect(leave(sid, "a", boss_key), 401, "invalid_session_key")
        expect(leave(sid, "a", "nonsense"), 401, "invalid_session_key")
        expect(leave(sid, "boss", key), 401, "invalid_session_key")
        expect(leave(sid, "boss", boss_key), 403, "forbidden")
        self.assertEqual(expect(self.api.status(sid), 200)["agents"], ["boss", "a"])

    def test_leave(self):
        sid = self.api.session(maxAgents=2)
        key = self.api.joined(sid, "a")
        self.api.joined(sid, "b")
        body = self.expect(self.api.leave(sid, "a", key), 200)
        self.keys(body, "ok sessionId agentId message status")
        self.assertEqual((body["ok"], body["sessionId"], body["agentId"], body["status"]),
                         (True, sid, "a", "removed"))
        self.assertIsInstance(body["message"], str)
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], ["b"])
        self.expect(self.api.send(sid, "a", "x"), 403, "forbidden")
        self.expect(self.api.poll(sid, "a"), 403, "agent_not_in_session")
        self.expect(self.api.renew(sid, "a"), 403, "agent_not_in_session")
        self.expect(self.api.leave(sid, "a", key), 404, "agent_not_found")
        again = self.expect(self.api.join(sid, "a"), 200)
        self.assertNotEqual(again["sessionKey"], key, "a key outlived its member")
        self.expect(self.api.leave(sid, "a", key), 401, "invalid_session_key")

    def test_sliding_expiry(self):
        names = "untouched status forbidden send poll renew join claim".split()
        sids = {name: self.api.session(ttl=2) for name in names}
        for sid in sids.values():
            self.api.joined(sid, "a")
        code = self.api.code(sids["claim"])
        start = time.monotonic()
        time.sleep(1.2)
        self.expect(self.api.status(sids["status"]), 200)
        self.expect(self.api.poll(sids["forbidden"], "stranger"), 403, "agent_not_in_session")
        self.expect(self.api.send(sids["send"], "a", "x"), 201)
        self.expect(self.api.poll(sids["poll"], "a"), 200)
        self.expect(self.api.renew(sids["renew"], "a"), 200)
        self.expect(self.api.join(sids["join"], "b"), 200)
        self.expect(self.api.claim(code, "b"), 200)
        touched = time.monotonic()
        time.sleep(max(0, start + 2.5 - time.monotonic()))
        gone = names[:3]
        for name, sid in sids.items():
            with self.subTest(name=name, at="2.5 s"):
                answer = self.api.status(sid)
                if name in gone:
                    self.expect(answer, 404, "session_not_found")
                else:
                    self.assertEqual(self.expect(answer, 200)["state"], "active")
        for answer in (self.api.join(sids["untouched"],
                                     "b"), self.api.send(sids["untouched"], "a", "x"),
                       self.api.poll(sids["untouched"],
                                     "a"), self.api.renew(sids["untouched"],
                                                          "a"), self.api.pair(sids["untouched"]),
                       self.api.leave(sids["untouched"], "a", "k")):
            self.expect(answer, 404, "session_not_found")
        time.sleep(max(0, touched + 2.5 - time.monotonic()))
        for name, sid in sids.items():
            with self.subTest(name=name, at="the end"):
                self.expect(self.api.status(sid), 404, "session_not_found")
        self.expect(self.api.pair_status(code), 404, "code_not_found")

    def test_a_message_lives_as_long_as_its_session(self):
        sid = self.api.session(ttl=1)
        self.api.joined(sid, "a")
        sent = self.expect(self.api.send(sid, "a", "x"), 201)
        for _ in range(3):
            time.sleep(0.5)
            self.expect(self.api.renew(sid, "a"), 200)
        self.assertLess(seconds(sent["expiresAt"]), time.time())
        messages = self.expect(self.api.poll(sid, "a"), 200)["messages"]
        self.assertEqual([(m["id"], m["expiresAt"]) for m in messages],
                         [(sent["id"], sent["expiresAt"])])

    def test_idle_agents_are_removed_when_asked_for_but_never_the_creator(self):
        with Server(env={"AGENT_INACTIVITY_SECONDS": "1"}) as server:
            api = Api(server, self.gen)
            self.addCleanup(api.close)
            sid = api.session(creatorAgentId="boss", maxAgents=3)
            api.joined(sid, "idle")
            api.joined(sid, "busy")
            end = time.monotonic() + 2.4
            while time.monotonic() < end:
                self.expect(api.poll(sid, "busy"), 200)
                time.sleep(0.2)
            self.assertEqual(self.expect(api.status(sid), 200)["agents"], ["boss", "busy"])
            self.expect(api.send(sid, "idle", "x"), 403, "forbidden")
            self.expect(api.send(sid, "boss", "x"), 201)


class Messages:
    """Send, poll, cursors, the greeting and the reminder."""

    def pair_of_agents(self, **body):
        sid = self.api.session(**body)
        return sid, self.api.joined(sid, "a"), self.api.joined(sid, "b")

    def test_send_fields(self):
        sid = self.api.session(ttl=500)
        self.api.joined(sid, "a")
        body = self.expect(self.api.send(sid, "a", "hello"), 201)
        self.keys(body, "ok id messageId cursor expiresAt")
        self.assertEqual((body["ok"], body["cursor"], body["messageId"]), (True, "1", body["id"]))
        self.assertTrue(isinstance(body["id"], str) and body["id"])
        near(self, body["expiresAt"], time.time() + 500)

    def test_message_fields(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        sent = [
            self.expect(self.api.send(sid, "a", body), 201)
            for body in ({"text": "t"}, {"json": {"k": [1]}}, {"text": "both", "json": "j"})
        ]
        messages = self.expect(self.api.poll(sid, "a"), 200)["messages"]
        for message, answer, text, value in zip(messages, sent, ("t", "", "both"),
                                                (None, {"k": [1]}, "j")):
            self.keys(message, MESSAGE + ("" if value is None else " json"))
            self.assertEqual(message.get("json"), value)
            self.assertEqual((message["id"], message["cursor"], message["expiresAt"]),
                             (answer["id"], answer["cursor"], answer["expiresAt"]))
            self.assertEqual(
                (message["agentId"], message["from"], message["text"], message["verified"]),
                ("a", "a", text, False))
            near(self, message["createdAt"], time.time())
        self.assertEqual(len({answer["id"] for answer in sent}), 3)

    def test_every_kind_of_json_can_be_sent(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        values = [{}, [], "", "s", 0, -1.5, True, False, None, {"a": {"b": [None]}}]
        for value in values:
            self.expect(self.api.send(sid, "a", {"json": value}), 201)
        messages = self.expect(self.api.poll(sid, "a"), 200)["messages"]
        self.assertEqual([message["json"] for message in messages], values)

    def test_send_failures(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        self.expect(self.api.send(sid, None, "x"), 400, "missing_agent_id")
        self.expect(self.api.send(sid, "b", "x"), 403, "forbidden")
        self.expect(self.api.send(sid, "system", "x"), 400, "invalid_request")
        self.expect(self.api.send(sid, "a b", "x"), 400, "invalid_request")
        for body in ({}, {"other": 1}, {"text": 1}, {"text": True}, {"text": []}, {"text": {}},
                     {"text": 5, "json": 1}):
            with self.subTest(body=body):
                answer = self.expect(self.api.send(sid, "a", body), 400, "invalid_request")
                self.assertTrue(answer["details"], answer)
        path = "%s/%s/messages" % (self.api.base, sid)
        answer = self.expect(self.api.request("POST", path, None, agent="a"), 400,
                             "invalid_request")
        self.assertTrue(answer["details"], "an empty body is {}: neither text nor json")
        for body in (b"{", b"text", b'{"text":"x"', b'{"text":"x",}', b"{'text':'x'}",
                     b'{"text":"\xff"}', b"\xef\xbb\xbf{}"):
            with self.subTest(body=body):
                self.expect(self.api.request("POST", path, body, agent="a"), 400, "invalid_body")
        for body in (b"[]", b"3", b'"x"', b"null", b"true"):
            with self.subTest(body=body):
                self.expect(self.api.request("POST", path, body, agent="a"), 400, "invalid_request")
        self.assertEqual(
            self.expect(self.api.poll(sid, "a"), 200)["messages"], [], "a failed send was stored")

    def test_poll_failures(self):
        sid = self.api.session()
        self.expect(self.api.poll(sid, None), 400, "missing_agent_id")
        self.expect(self.api.poll(sid, "stranger"), 403, "agent_not_in_session")

    def test_the_greeting(self):
        sid = self.api.session(greeting="welcome ☂")
        self.api.joined(sid, "a")
        body = self.expect(self.api.poll(sid, "a"), 200)
        self.keys(body, "messages nextCursor")
        (message, ) = body["messages"]
        self.keys(message, MESSAGE)
        self.assertEqual((message["agentId"], message["from"], message["cursor"], message["text"]),
                         ("system", "system", "0", "welcome ☂"))
        self.assertIsInstance(message["verified"], bool)
        self.assertEqual(body["nextCursor"], "0")
        self.assertEqual(self.expect(self.api.poll(sid, "a", "0"), 200),
                         {"messages": [], "nextCursor": "0"})
        self.assertEqual(self.expect(self.api.send(sid, "a", "x"), 201)["cursor"], "1")

    def test_the_reminder_comes_once_with_the_second_agent(self):
        sid = self.api.session(greeting="g", maxAgents=50)
        key = self.api.joined(sid, "a")
        self.api.join(sid, "a", key)
        self.assertEqual(len(self.expect(self.api.poll(sid, "a"), 200)["messages"]), 1)
        self.api.joined(sid, "b")
        messages = self.expect(self.api.poll(sid, "a"), 200)["messages"]
        self.assertEqual([m["cursor"] for m in messages], ["0", "1"])
        reminder = messages[1]
        self.keys(reminder, MESSAGE)
        self.assertEqual((reminder["agentId"], reminder["from"]), ("system", "system"))
        self.assertTrue(reminder["text"].startswith(CRON), reminder["text"])
        for word in ("human", "poll"):
            self.assertIn(word, reminder["text"].lower())
        self.expect(self.api.leave(sid, "a", key), 200)
        for agent in ("c", "a", "d"):
            self.api.joined(sid, agent)
        messages = self.expect(self.api.poll(sid, "a"), 200)["messages"]
        self.assertEqual(len([m for m in messages if m["text"].startswith(CRON)]), 1)

    def test_the_reminder_comes_with_a_creator_and_a_claim_too(self):
        sid = self.api.session(creatorAgentId="boss")
        self.expect(self.api.claim(self.api.code(sid), "b"), 200)
        messages = self.expect(self.api.poll(sid, "boss"), 200)["messages"]
        self.assertEqual([m["agentId"] for m in messages], ["system"])
        self.assertTrue(messages[0]["text"].startswith(CRON))

    def test_after(self):
        sid = self.api.session(greeting="g")
        self.api.joined(sid, "a")
        for number in range(1, 6):
            self.assertEqual(
                self.expect(self.api.send(sid, "a", str(number)), 201)["cursor"], str(number))

        def poll(after):
            body = self.expect(self.api.poll(sid, "a", after), 200)
            self.keys(body, "messages nextCursor")
            return [m["cursor"] for m in body["messages"]], body["nextCursor"]

        self.assertEqual(poll(None), (list("012345"), "5"))
        self.assertEqual(poll("0"), (list("12345"), "5"))
        self.assertEqual(poll("3"), (list("45"), "5"))
        for after in ("5", "6", "1000000", "9223372036854775807", "18446744073709551615",
                      "18446744073709551616", "99999999999999999999", "1" + "0" * 30, "9" * 40):
            with self.subTest(after=after):
                self.assertEqual(poll(after), ([], after))
        self.assertIn(self.api.poll(sid, "a", "9" * 200).status, (200, 400))
        self.assertEqual(poll("4"), (["5"], "5"))

    def test_after_that_is_no_cursor(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        for after in ("x", "-1", "1x", "1.0", "1e3", "+1", "0x1", "%20", "%00", "1%00", "null",
                      "1,2", "%FF", "%zz", "-0"):
            with self.subTest(after=after):
                body = self.expect(self.api.poll(sid, "a", after), 400, "invalid_request")
                if "%zz" not in after:
                    self.assertTrue(any("after" in detail["path"] for detail in body["details"]),
                                    body)
        self.assertIn(self.api.poll(sid, "a", "").status, (200, 400))
        self.assertEqual(
            self.expect(self.api.poll(sid, "a", query="?x=1&y&=&after=0&&z=%41"),
                        200)["nextCursor"], "0")

    def test_next_cursor_of_an_empty_session(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        self.assertEqual(self.expect(self.api.poll(sid, "a"), 200),
                         {"messages": [], "nextCursor": "0"})

    def test_two_agents_follow_each_other_by_cursor(self):
        sid, _, _ = self.pair_of_agents()
        cursors, seen = {"a": None, "b": None}, {"a": [], "b": []}
        for number in range(12):
            self.expect(self.api.send(sid, "ab"[number % 2], "m%d" % number), 201)
            reader = "ba"[number % 3 % 2]
            body = self.expect(self.api.poll(sid, reader, cursors[reader]), 200)
            cursors[reader] = body["nextCursor"]
            seen[reader] += [m["text"] for m in body["messages"] if m["agentId"] != "system"]
        for agent in "ab":
            body = self.expect(self.api.poll(sid, agent, cursors[agent]), 200)
            seen[agent] += [m["text"] for m in body["messages"] if m["agentId"] != "system"]
            self.assertEqual(seen[agent], ["m%d" % number for number in range(12)])

    def test_verified(self):
        sid, key, _ = self.pair_of_agents()
        self.expect(self.api.send(sid, "a", "with", key), 201)
        self.expect(self.api.send(sid, "a", "without"), 201)
        messages = self.expect(self.api.poll(sid, "b", "1"), 200)["messages"]
        self.assertEqual([(m["text"], m["verified"]) for m in messages], [("with", True),
                                                                          ("without", False)])

    def test_long_poll_answers_are_whole(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        for number in range(300):
            self.expect(self.api.send(sid, "a", "%d:" % number + "x" * 1000), 201)
        got, cursor = [], "0"
        for _ in range(301):
            body = self.expect(self.api.poll(sid, "a", cursor), 200)
            if not body["messages"]:
                break
            got += [m["text"].split(":")[0] for m in body["messages"]]
            cursor = body["nextCursor"]
        self.assertEqual(got, [str(number) for number in range(300)])


class Pairing:
    """Pairing codes."""

    def test_pair_fields(self):
        sid = self.api.session()
        body = self.expect(self.api.pair(sid), 201)
        self.keys(body, "code url expiresAt")
        self.assertRegex(body["code"], r"^[A-Z]+-[A-Z]+-[0-9A-Z]{5}$")
        self.assertEqual(body["url"], "%s/p/%s" % (self.server.url, body["code"]))
        near(self, body["expiresAt"], time.time() + 600)

    def test_pair_failures(self):
        for body in ({}, {"sessionId": 1}, {"sessionId": None}, {"sessionId": []}, {"session": "x"
                                                                                    }):
            with self.subTest(body=body):
                answer = self.expect(self.api.request("PUT", "/v1/pair", body), 400,
                                     "invalid_request")
                self.assertTrue(any("sessionId" in detail["path"] for detail in answer["details"]),
                                answer)

    def test_claim_joins(self):
        sid = self.api.session(greeting="g")
        self.api.joined(sid, "a")
        code = self.api.code(sid)
        self.assertEqual(self.expect(self.api.pair_status(code), 200), {"state": "pending"})
        body = self.expect(self.api.claim(code, "b"), 200)
        self.keys(body, "sessionId status sessionKey")
        self.assertEqual((body["sessionId"], body["status"]), (sid, "claimed"))
        self.assertRegex(body["sessionKey"], "^%s$" % HEX64)
        self.assertEqual(self.expect(self.api.pair_status(code), 200), {"state": "claimed"})
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], ["a", "b"])
        self.expect(self.api.send(sid, "b", "verified", body["sessionKey"]), 201)
        self.assertTrue(self.expect(self.api.poll(sid, "b"), 200)["messages"][-1]["verified"])

    def test_a_code_works_once(self):
        sid = self.api.session(maxAgents=5)
        code = self.api.code(sid)
        self.expect(self.api.claim(code, "a"), 200)
        for agent in ("b", "a"):
            self.expect(self.api.claim(code, agent), 404, "code_expired_or_used")
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], ["a"])

    def test_case_does_not_matter(self):
        sid = self.api.session(maxAgents=5)
        for agent, change in (("a", str.lower), ("b", str.title), ("c", str.swapcase)):
            code = self.api.code(sid)
            self.assertEqual(
                self.expect(self.api.pair_status(change(code)), 200)["state"], "pending")
            self.expect(self.api.claim(change(code), agent), 200)
            self.expect(self.api.claim(code, "d"), 404, "code_expired_or_used")
            self.assertEqual(
                self.expect(self.api.pair_status(change(code)), 200)["state"], "claimed")

    def test_codes_that_never_were(self):
        for code in ("PEARL-FOCAL-S5SJV", "pearl-focal-00OIL", "ZZZZ-ZZZZ-01O1I", "x", "-", "--",
                     "A-B-C", "%20", "PEARL-FOCAL-S5SJ", "PEARL-FOCAL-S5SJVX", "Z" * 1000, "a%2Fb"):
            with self.subTest(code=code):
                self.expect(self.api.claim(code, "a"), 404, "code_not_found")
                self.expect(self.api.pair_status(code), 404, "code_not_found")

    def test_claim_needs_an_agent_and_keeps_the_code_when_it_fails(self):
        sid = self.api.session()
        code = self.api.code(sid)
        self.expect(self.api.claim(code, None), 400, "missing_agent_id")
        self.expect(self.api.claim(code, "system"), 400, "invalid_request")
        self.expect(self.api.claim(code, "a b"), 400, "invalid_request")
        self.assertEqual(self.expect(self.api.pair_status(code), 200)["state"], "pending")
        self.expect(self.api.claim(code, "a"), 200)

    def test_a_refused_claim_does_not_use_the_code_up(self):
        sid = self.api.session(maxAgents=2)
        key = self.api.joined(sid, "a")
        self.api.joined(sid, "b")
        code = self.api.code(sid)
        self.expect(self.api.claim(code, "c"), 409, "session_full")
        self.assertEqual(self.expect(self.api.pair_status(code), 200)["state"], "pending")
        self.expect(self.api.leave(sid, "a", key), 200)
        self.expect(self.api.claim(code, "b"), 409, "agent_id_taken")
        self.assertEqual(self.expect(self.api.pair_status(code), 200)["state"], "pending")
        self.expect(self.api.claim(code, "c"), 200)
        self.assertEqual(self.expect(self.api.pair_status(code), 200)["state"], "claimed")

    def test_several_codes_a_session(self):
        sid = self.api.session(maxAgents=50)
        codes = [self.api.code(sid) for _ in range(4)]
        self.assertEqual(len(set(codes)), 4)
        for number, code in enumerate(codes):
            states = [self.expect(self.api.pair_status(other), 200)["state"] for other in codes]
            self.assertEqual(states, ["claimed"] * number + ["pending"] * (4 - number))
            self.expect(self.api.claim(code, "agent%d" % number), 200)

    def test_claim_takes_a_body_and_ignores_it(self):
        code = self.api.code(self.api.session())
        self.expect(self.api.request("POST", "/v1/pair/%s/claim" % code, {"x": 1}, agent="a"), 200)

    def test_a_claimed_member_can_leave(self):
        sid = self.api.session()
        key = self.expect(self.api.claim(self.api.code(sid), "a"), 200)["sessionKey"]
        self.expect(self.api.leave(sid, "a", key), 200)


class Both:
    """One set of sessions under both spellings."""

    def test_the_other_spelling_reaches_the_same_session(self):
        other = Api(self.server, 3 - self.gen)
        self.addCleanup(other.close)
        sid = self.api.session(maxAgents=9, greeting="g")
        mine, theirs = self.expect(self.api.status(sid), 200), self.expect(other.status(sid), 200)
        self.assertEqual(mine, theirs)
        other.joined(sid, "a")
        key = self.api.joined(sid, "b")
        self.expect(other.send(sid, "b", "x", key), 201)
        self.assertEqual(self.expect(self.api.poll(sid, "a"), 200),
                         self.expect(other.poll(sid, "a"), 200))
        self.expect(other.renew(sid, "a", {"ttl": 77}), 200)
        self.assertEqual(self.expect(self.api.status(sid), 200)["ttl"], 77)
        self.expect(other.leave(sid, "b", key), 200)
        self.assertEqual(self.expect(self.api.status(sid), 200)["agents"], ["a"])

    def test_session_ids_are_not_guessed_from_a_prefix(self):
        sid = self.api.session()
        for other in (sid[:-1], sid + "0", sid[:-1] + ("0" if sid[-1] != "0" else "1")):
            self.expect(self.api.status(other), 404, "session_not_found")

    def test_message_ids_and_codes_look_like_nothing_else(self):
        sid = self.api.session()
        self.assertFalse(re.search(sid, self.api.code(sid)))


class Common(Sessions, Messages, Pairing, Both):
    pass
