#!/usr/bin/env python3
"""Many at once (docs: wire, sections 2 and 3): exactly one wins the last seat and a pairing code,
cursors strictly grow under 64 parallel senders with readers polling meanwhile, none lost, none
doubled. The same cases with one loop, with two, and with durable messages."""
import threading
import time

import lib
from lib import Api, parallel

SENDERS, EACH, READERS = 64, 12, 4
ROUNDS = 15


class Racing:

    def api_of(self, count, gen=2):
        apis = [Api(self.server, gen) for _ in range(count)]
        for api in apis:
            self.addCleanup(api.close)
            api.request("GET", "/health")  # connected before the race
        return apis

    def test_the_last_seat_goes_to_exactly_one(self):
        apis = self.api_of(8) + self.api_of(8, gen=1)
        for number in range(ROUNDS):
            sid = self.api.session(maxAgents=3)
            self.api.joined(sid, "first")
            self.api.joined(sid, "second")
            answers = parallel(
                [lambda api=api, n=n: api.join(sid, "racer-%d" % n) for n, api in enumerate(apis)])
            statuses = sorted(answer.status for answer in answers)
            self.assertEqual(statuses, [200] + [409] * 15, "round %d" % number)
            self.assertEqual({a.error for a in answers if a.status == 409}, {"session_full"})
            (winner, ) = [n for n, answer in enumerate(answers) if answer.status == 200]
            self.assertEqual(
                self.api.status(sid).json["agents"],
                ["first", "second", "racer-%d" % winner])

    def test_one_name_goes_to_exactly_one(self):
        apis = self.api_of(12)
        for number in range(ROUNDS):
            sid = self.api.session()
            answers = parallel([lambda api=api: api.join(sid, "same") for api in apis])
            self.assertEqual(sorted(answer.status for answer in answers), [200] + [409] * 11,
                             "round %d" % number)
            self.assertEqual({a.error for a in answers if a.status == 409}, {"agent_id_taken"})

    def test_one_key_is_given_out_in_generation_one(self):
        apis = self.api_of(12, gen=1)
        for _ in range(ROUNDS):
            sid = self.api.session()
            answers = parallel([lambda api=api: api.join(sid, "same") for api in apis])
            self.assertEqual({answer.status for answer in answers}, {200})
            self.assertEqual(len([a for a in answers if "sessionKey" in a.json]), 1)

    def test_a_code_is_claimed_by_exactly_one(self):
        apis = self.api_of(16)
        for number in range(ROUNDS):
            sid = self.api.session(maxAgents=50)
            code = self.api.code(sid)
            answers = parallel([
                lambda api=api, n=n: api.claim(code, "racer-%d" % n) for n, api in enumerate(apis)
            ])
            self.assertEqual(sorted(answer.status for answer in answers), [200] + [404] * 15,
                             "round %d" % number)
            self.assertEqual({a.error
                              for a in answers
                              if a.status == 404}, {"code_expired_or_used"})
            self.assertEqual(len(self.api.status(sid).json["agents"]), 1)

    def test_the_reminder_comes_once_however_many_join_at_once(self):
        apis = self.api_of(16)
        for _ in range(ROUNDS):
            sid = self.api.session()
            parallel([lambda api=api, n=n: api.join(sid, "a%d" % n) for n, api in enumerate(apis)])
            messages = self.api.poll(sid, "a0").json["messages"]
            self.assertEqual([(m["agentId"], m["cursor"]) for m in messages], [("system", "1")])

    def test_fifty_agents_join_at_once(self):
        apis = self.api_of(25)
        sid = self.api.session()

        def join(api, n):
            return [api.join(sid, "agent-%d" % k) for k in (n, n + 25, n + 50)]

        answers = sum(parallel([lambda api=api, n=n: join(api, n) for n, api in enumerate(apis)]),
                      [])
        joined = [answer.json for answer in answers if answer.status == 200]
        self.assertEqual(len(joined), 50)
        self.assertEqual(sorted(body["agentsOnline"] for body in joined), list(range(1, 51)))
        self.assertEqual(len({body["sessionKey"] for body in joined}), 50)
        self.assertEqual(len(set(self.api.status(sid).json["agents"])), 50)

    def test_cursors_grow_and_no_message_is_lost_or_doubled(self):
        sid = self.api.session(maxAgents=50)
        keys = [self.api.joined(sid, "agent-%d" % n) for n in range(50)]
        done = threading.Event()
        senders, readers = self.api_of(SENDERS), self.api_of(READERS)

        def send(api, n):
            agent, cursors = n % 50, []
            for k in range(EACH):
                answer = api.send(sid, "agent-%d" % agent, "%d/%d" % (n, k), keys[agent])
                self.assertEqual(answer.status, 201, answer)
                cursors.append(int(answer.json["cursor"]))
            self.assertEqual(cursors, sorted(set(cursors)), "a sender's own cursors")
            return {cursor: "%d/%d" % (n, k) for k, cursor in enumerate(cursors)}

        def read(api, n):
            seen, cursor, last = {}, "0", False
            while True:
                last = done.is_set()
                body = api.poll(sid, "agent-%d" % n, cursor).json
                for message in body["messages"]:
                    number = int(message["cursor"])
                    self.assertGreater(number, int(cursor), "a reader went back")
                    cursor = message["cursor"]
                    seen[number] = message["text"]
                self.assertEqual(body["nextCursor"], cursor)
                if last and not body["messages"]:
                    return seen
                time.sleep(0.005)

        def finish(jobs):
            results = parallel(jobs)
            done.set()
            return results

        jobs = [lambda api=api, n=n: send(api, n) for n, api in enumerate(senders)]
        try:
            results = parallel([lambda: finish(jobs)] +
                               [lambda api=api, n=n: read(api, n) for n, api in enumerate(readers)],
                               100)
        finally:
            done.set()
        sent = {}
        for part in results[0]:
            self.assertFalse(set(part) & set(sent), "a cursor was given twice")
            sent.update(part)
        self.assertEqual(len(sent), SENDERS * EACH)
        self.assertEqual(sorted(sent), list(range(2, SENDERS * EACH + 2)), "1 is the reminder")
        for seen in results[1:]:
            self.assertTrue(seen.pop(1).startswith("This is an async"))
            self.assertEqual(seen, sent)

    def test_leaving_and_joining_keeps_the_seats(self):
        """Seats are never oversold and never lost while agents come and go."""
        sid = self.api.session(maxAgents=4)
        apis = self.api_of(8)

        def come_and_go(api, n):
            for _ in range(10):
                answer = api.join(sid, "a%d" % n)
                self.assertIn(answer.status, (200, 409), answer)
                if answer.status == 200:
                    self.assertLessEqual(answer.json["agentsOnline"], 4)
                    left = api.leave(sid, "a%d" % n, answer.json["sessionKey"])
                    self.assertEqual(left.status, 200, left)

        parallel([lambda api=api, n=n: come_and_go(api, n) for n, api in enumerate(apis)])
        self.assertEqual(self.api.status(sid).json["agents"], [])
        for n in range(4):
            self.api.joined(sid, "b%d" % n)
        self.expect(self.api.join(sid, "b4"), 409, "session_full")


class OneLoop(Racing, lib.Case):
    server_args = ("--loops", 1)


class TwoLoops(Racing, lib.Case):
    server_args = ("--loops", 2)


class DurableMessages(Racing, lib.Case):
    server_args = ("--loops", 2, "--durable-messages")


if __name__ == "__main__":
    lib.main()
