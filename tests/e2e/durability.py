#!/usr/bin/env python3
"""What was acknowledged is there after kill -9 (the issue, "metadata durable"): clients create,
join, claim, renew, leave and send while the server is killed in a loop and started on the same
folder; then everything is compared with what the answers had promised. What was in flight may have happened
or not, but never half. Then orderly ends, and data folders that must be refused.

DURABILITY_ROUNDS (8) sets how often it is killed; tests/long/durability.py raises it."""
import http.client
import os
import random
import re
import shutil
import threading
import time
import unittest

import lib
from lib import Api, Server

ROUNDS = int(os.environ.get("DURABILITY_ROUNDS", "8"))
SEED = int(os.environ.get("DURABILITY_SEED") or random.randrange(2**32))
WORKERS = 6
LOST = (OSError, http.client.HTTPException)


class Known:
    """What one worker knows of one session of its own."""

    def __init__(self, sid, body):
        self.sid = sid
        self.ttl, self.greeting = body["ttl"], body.get("greeting")
        self.keys = {}  # agent -> key, of acknowledged members
        self.left = set()  # agents whose leave was acknowledged
        self.maybe_in, self.maybe_out = set(), set()  # agents whose join or leave was in flight
        self.ghosts = set()  # agents that turned out to have joined though nobody got the answer
        self.maybe_ttl = None
        self.codes = {}  # code -> pending | claimed
        self.maybe_claimed = {}  # code -> agent whose claim was in flight
        self.messages = {}  # cursor -> (id, text), acknowledged
        self.maybe_texts = set()
        self.top = 0  # the highest cursor ever seen


class Worker:
    """Drives sessions of its own until the server goes away; keeps what was acknowledged."""

    def __init__(self, server, number, seed, sessions):
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.api = Api(server, 1 + number % 2, 10)
        self.source = random.Random(seed)
        self.sessions = sessions  # grows; outlives this worker
        self.acknowledged, self.fault = 0, None

    def run(self):
        try:
            while True:
                self.step()
        except LOST:
            pass
        except BaseException as fault:  # pylint: disable=broad-except
            self.fault = fault
        finally:
            self.api.close()

    def good(self, answer, *statuses):
        assert answer.status in statuses, answer
        self.acknowledged += 1
        return answer.json

    def step(self):
        mine = [known for known in self.sessions if known.keys]
        if len(mine) < 3 or self.source.random() < 0.1:
            return self.create()
        known = self.source.choice(mine[-6:])
        return self.source.choice(
            (self.join, self.join, self.claim, self.renew, self.leave, self.send, self.send))(known)

    def create(self):
        ttl, greeting = self.source.randrange(1000,
                                              80000), "greeting %d" % self.source.randrange(10**9)
        body = self.good(
            self.api.create(ttl=ttl, greeting=greeting, creatorAgentId="boss", maxAgents=50), 201)
        known = Known(body["sessionId"], {"ttl": ttl, "greeting": greeting})
        known.keys["boss"] = body["sessionKey"]
        self.sessions.append(known)

    def join(self, known):
        if len(known.keys) > 40:
            return
        agent = "agent-%d" % self.source.randrange(10**9)
        known.maybe_in.add(agent)
        body = self.good(self.api.join(known.sid, agent), 200)
        known.maybe_in.discard(agent)
        known.keys[agent] = body["sessionKey"]

    def claim(self, known):
        if len(known.keys) > 40 or len(known.codes) > 8:
            return
        code = self.good(self.api.pair(known.sid), 201)["code"]
        known.codes[code] = "pending"
        if self.source.random() < 0.3:
            return
        agent = "claimer-%d" % self.source.randrange(10**9)
        known.maybe_claimed[code] = agent
        body = self.good(self.api.claim(code, agent), 200)
        del known.maybe_claimed[code]
        known.codes[code], known.keys[agent] = "claimed", body["sessionKey"]

    def renew(self, known):
        known.maybe_ttl = self.source.randrange(1000, 80000)
        known.ttl = self.good(self.api.renew(known.sid, "boss", {"ttl": known.maybe_ttl}),
                              200)["ttl"]
        known.maybe_ttl = None

    def leave(self, known):
        agents = [agent for agent in known.keys if agent != "boss"]
        if not agents:
            return
        agent = self.source.choice(agents)
        known.maybe_out.add(agent)
        self.good(self.api.leave(known.sid, agent, known.keys[agent]), 200)
        known.maybe_out.discard(agent)
        known.left.add(agent)
        del known.keys[agent]

    def send(self, known):
        text = "text %d" % self.source.randrange(10**12)
        known.maybe_texts.add(text)
        body = self.good(self.api.send(known.sid, "boss", text, known.keys["boss"]), 201)
        known.maybe_texts.discard(text)
        assert int(body["cursor"]) > known.top, "cursor %s after %d" % (body["cursor"], known.top)
        known.top = int(body["cursor"])
        known.messages[body["cursor"]] = (body["id"], text)


class Killed(unittest.TestCase):
    durable = False

    def check(self, api, known):
        """Compares one session with what was promised, and settles what was in flight."""
        answer = api.status(known.sid)
        self.assertEqual(answer.status, 200, "an acknowledged session is lost: %r" % answer)
        body = answer.json
        self.assertEqual((body["greeting"], body["creatorAgentId"], body["maxAgents"]),
                         (known.greeting, "boss", 50))
        self.assertIn(body["ttl"], {known.ttl, known.maybe_ttl})
        known.ttl, known.maybe_ttl = body["ttl"], None
        agents = set(body["agents"])
        self.assertEqual(len(agents), len(body["agents"]))
        self.assertEqual(
            set(known.keys) - agents - known.maybe_out, set(), "acknowledged members are lost")
        self.assertEqual(known.ghosts - agents, set(), "members are lost")
        allowed = set(known.keys) | known.ghosts | known.maybe_in | set(
            known.maybe_claimed.values())
        self.assertEqual(agents - allowed, set(), "agents that left, or were never there")
        self.check_codes(api, known, agents)
        for agent in known.maybe_out & set(known.keys) - agents:
            del known.keys[agent]
        known.ghosts = agents - set(known.keys)
        known.maybe_in.clear()
        known.maybe_out.clear()
        known.maybe_claimed.clear()
        for agent in random.Random(SEED).sample(sorted(known.keys), min(3, len(known.keys))):
            again = Api(api.server, 2)
            self.assertEqual(
                again.join(known.sid, agent, known.keys[agent]).status, 200,
                "a key is no longer valid")
            self.assertEqual(again.join(known.sid, agent, "0" * 64).status, 409)
            again.close()
        self.check_messages(api, known)

    def check_codes(self, api, known, agents):
        for code, state in known.codes.items():
            answer = api.pair_status(code)
            self.assertEqual(answer.status, 200, "an acknowledged code is lost: %r" % answer)
            now = answer.json["state"]
            if code in known.maybe_claimed:
                self.assertIn(now, ("pending", "claimed"))
                self.assertEqual(now == "claimed", known.maybe_claimed[code] in agents,
                                 "half a claim is seen")
                known.codes[code] = now
            else:
                self.assertEqual(now, state)

    def check_messages(self, api, known):
        body = api.poll(known.sid, "boss").json
        cursors = [int(message["cursor"]) for message in body["messages"]]
        self.assertEqual(cursors, sorted(set(cursors)))
        self.assertEqual([m["text"] for m in body["messages"] if m["cursor"] == "0"],
                         [known.greeting])
        self.assertLessEqual(
            len([m for m in body["messages"] if m["text"].startswith("This is an async")]), 1)
        there = {
            m["cursor"]: (m["id"], m["text"])
            for m in body["messages"]
            if m["agentId"] == "boss"
        }
        if self.durable:
            self.assertEqual({c: there.get(c)
                              for c in known.messages}, known.messages,
                             "acknowledged messages are lost")
            for cursor in set(there) - set(known.messages):
                self.assertIn(there[cursor][1], known.maybe_texts, "a message nobody sent")
                known.messages[cursor] = there[cursor]
                known.top = max(known.top, int(cursor))
        else:
            for cursor, message in there.items():
                self.assertEqual(message, known.messages.get(cursor, message))
        known.maybe_texts.clear()
        sent = api.send(known.sid, "boss", "after the restart", known.keys["boss"])
        self.assertEqual(sent.status, 201, sent)
        self.assertGreater(int(sent.json["cursor"]), known.top, "a cursor was used again")
        known.top = int(sent.json["cursor"])
        known.messages[sent.json["cursor"]] = (sent.json["id"], "after the restart")
        got = api.poll(known.sid, "boss", known.top - 1).json["messages"]
        self.assertEqual([(m["text"], m["verified"]) for m in got], [("after the restart", True)])

    def test_kill_9_in_a_loop(self):
        print(
            "durability.py: DURABILITY_SEED=%d DURABILITY_ROUNDS=%d %s" %
            (SEED, ROUNDS, type(self).__name__), flush=True)
        source = random.Random(SEED)
        server = Server(*(["--durable-messages"] if self.durable else []))
        self.addCleanup(server.remove)
        known = [[] for _ in range(WORKERS)]
        acknowledged = 0
        for number in range(ROUNDS):
            server.start()
            workers = [Worker(server, n, source.random(), known[n]) for n in range(WORKERS)]
            for worker in workers:
                worker.thread.start()
            time.sleep(source.uniform(0.05, 0.7))
            server.kill()
            for worker in workers:
                worker.thread.join(15)
                self.assertFalse(worker.thread.is_alive(), "a worker hangs")
                self.assertIsNone(worker.fault,
                                  "seed %d round %d: %r" % (SEED, number, worker.fault))
                acknowledged += worker.acknowledged
            server.start()
            self.assertIsNone(lib.SANITIZER.search(server.output()))
            api = Api(server, 2)
            for session in [session for part in known for session in part[-8:]]:
                with self.subTest(seed=SEED, round=number):
                    self.check(api, session)
            api.close()
            server.kill()  # again without an orderly end, now and then at once
        server.start()
        api = Api(server, 2)
        for session in [session for part in known for session in part]:
            self.assertEqual(api.status(session.sid).status, 200, "an old session is lost")
        api.close()
        server.stop()
        print("durability.py: %d answers were promises" % acknowledged, flush=True)
        self.assertGreater(acknowledged, ROUNDS * 20, "it hardly did anything")


class KilledWithDurableMessages(Killed):
    durable = True


class Ends(unittest.TestCase):
    """Orderly ends and plain restarts."""

    def server(self, *args, **options):
        server = Server(*args, **options)
        self.addCleanup(server.remove)
        return server

    def test_sigterm_is_orderly_and_keeps_everything(self):
        for args in ((), ("--durable-messages", )):
            server = self.server(*args)
            server.start()
            api = Api(server)
            sid = api.session(greeting="g", maxAgents=2, ttl=500)
            key = api.joined(sid, "a")
            code = api.code(sid)
            cursor = int(api.send(sid, "a", "before", key).json["cursor"])
            before = api.status(sid).json
            stats = api.request("GET", "/v1/stats").json
            idle = lib.connect(server)
            self.addCleanup(idle.close)
            start = time.monotonic()
            server.stop()  # checks exit code 0
            self.assertLess(time.monotonic() - start, 10)
            api.close()
            server.start()
            api = Api(server)
            after = api.status(sid).json
            for name in ("sessionId", "agents", "ttl", "maxAgents", "greeting", "createdAt",
                         "state"):
                self.assertEqual(after[name], before[name], name)
            self.assertEqual([m["joinedAt"] for m in after["members"]],
                             [m["joinedAt"] for m in before["members"]])
            self.assertEqual(
                api.request("GET", "/v1/stats").json["activeSessions"], stats["activeSessions"])
            self.assertEqual(api.join(sid, "a", key).status, 200)
            self.assertEqual(api.pair_status(code).json["state"], "pending")
            self.assertEqual(api.claim(code, "b").status, 200)
            self.assertEqual(api.claim(code, "c").status, 404)
            messages = api.poll(sid, "a").json["messages"]
            self.assertEqual(messages[0]["text"], "g")
            self.assertEqual("before" in [m["text"] for m in messages], bool(args))
            self.assertGreater(int(api.send(sid, "a", "after", key).json["cursor"]), cursor)
            api.close()
            server.stop()

    def test_sigint_is_orderly_too(self):
        server = self.server()
        server.start()
        server.process.send_signal(lib.signal.SIGINT)
        self.assertEqual(server.wait(), 0)

    def test_the_reminder_is_not_repeated_after_a_restart(self):
        server = self.server()
        server.start()
        api = Api(server)
        sid = api.session()
        api.joined(sid, "a")
        key = api.joined(sid, "b")
        self.assertEqual(api.leave(sid, "b", key).status, 200)
        api.close()
        server.kill()
        server.start()
        api = Api(server)
        api.joined(sid, "c")
        messages = api.poll(sid, "c").json["messages"]
        self.assertLessEqual(len(messages), 1)
        self.assertTrue(all(m["cursor"] == "1" for m in messages), messages)
        api.close()
        server.stop()

    def test_a_session_that_expired_while_the_server_was_down(self):
        server = self.server()
        server.start()
        api = Api(server)
        short, long = api.session(ttl=1), api.session(ttl=60)
        code = api.code(short)
        api.close()
        server.stop()
        time.sleep(2.3)  # polls need not be written each: a restart may add a second or a sixteenth
        server.start()
        api = Api(server)
        self.assertEqual((api.status(short).status, api.status(long).status), (404, 200))
        self.assertEqual(api.pair_status(code).status, 404)
        self.assertEqual(api.claim(code, "a").status, 404)
        api.close()
        server.stop()

    def test_a_second_server_on_the_same_folder_is_refused(self):
        first = self.server()
        first.start()
        second = self.server(data_dir=first.data_dir)
        second.spawn()
        self.assertNotEqual(second.wait(), 0)
        self.assertIn(first.data_dir.encode(), second.output())
        api = Api(first)
        self.assertEqual(api.create().status, 201)
        api.close()
        first.stop()


class Folders(unittest.TestCase):
    """Data folders that must be refused, in clear words and untouched; never silent loss."""

    def filled(self):
        """A stopped server with some sessions in its folder, and their ids."""
        server = Server()
        self.addCleanup(server.remove)
        server.start()
        api = Api(server)
        sids = [api.session(greeting="g" * 500, creatorAgentId="boss") for _ in range(50)]
        api.close()
        server.stop()
        return server, sids

    def refused(self, server, word=None):
        seen = len(server.output())
        server.spawn()
        self.assertNotEqual(server.wait(), 0)
        words = server.output()[seen:].decode("utf-8", "replace")
        self.assertNotIn("http://127.0.0.1", words)
        self.assertIn(server.data_dir, words, "the message does not name the folder")
        self.assertIsNone(lib.SANITIZER.search(words.encode()), words)
        self.assertLess(words.count("\n"), 5, "not one clear message: " + words)
        if word:
            self.assertRegex(words.lower(), word)

    def data_file(self, server):
        files = [os.path.join(server.data_dir, name) for name in os.listdir(server.data_dir)]
        return max((path for path in files if os.path.isfile(path)), key=os.path.getsize)

    def test_a_damaged_file_is_refused(self):
        server, _ = self.filled()
        path = self.data_file(server)
        with open(path, "rb") as file:
            good = file.read()
        bad = {
            "zeros in front": b"\0" * 8192 + good[8192:],
            "noise in front": os.urandom(8192) + good[8192:], "cut in half": good[:len(good) // 2],
            "cut to a page": good[:4096], "cut to some bytes": good[:100],
            "all noise": os.urandom(len(good)), "text": b"hello\n"
        }
        for name, data in bad.items():
            with self.subTest(name):
                with open(path, "wb") as file:
                    file.write(data)
                self.refused(server, "damage|corrupt|not |broken|short|foreign")
                with open(path, "rb") as file:
                    self.assertEqual(file.read(), data, "the damaged file was changed")
        with open(path, "wb") as file:
            file.write(good)
        server.start()
        server.stop()

    def test_a_flipped_byte_is_refused_or_does_not_matter(self):
        """Wherever a byte changes: refused, or everything is still there; never a crash, never loss."""
        server, sids = self.filled()
        path = self.data_file(server)
        with open(path, "rb") as file:
            good = file.read()
        source, refused = random.Random(SEED), 0
        for number in range(16):
            at = source.randrange(len(good))
            with self.subTest(seed=SEED, number=number, at=at):
                with open(path, "wb") as file:
                    file.write(good[:at] + bytes([good[at] ^ (1 << source.randrange(8))]) +
                               good[at + 1:])
                seen = len(server.output())
                server.spawn()
                end, ready = time.monotonic() + 10, None
                while server.process.poll() is None and not ready and time.monotonic() < end:
                    ready = re.search(rb"http://127\.0\.0\.1:(\d+)", server.output()[seen:])
                    time.sleep(0.005)
                if not ready:
                    refused += 1
                    code = server.wait()
                    self.assertTrue(0 < code < 128, "it crashed: %d" % code)
                    self.assertTrue(server.output()[seen:].strip())
                    continue
                server.port = int(ready.group(1))
                api = Api(server)
                for sid in sids:
                    self.assertEqual(api.status(sid).status, 200, "silent loss")
                    self.assertEqual(api.status(sid).json["greeting"], "g" * 500)
                api.close()
                server.stop()
        self.assertIsNone(lib.SANITIZER.search(server.output()))

    def test_a_foreign_folder_is_refused(self):
        for names in (("photo.jpg", ), ("data.mdb.bak", "notes"), ("package.json", ".git")):
            server = Server()
            self.addCleanup(server.remove)
            os.mkdir(server.data_dir)
            for name in names:
                with open(os.path.join(server.data_dir, name), "w", encoding="ascii") as file:
                    file.write("mine")
            self.refused(server)
            self.assertEqual(sorted(os.listdir(server.data_dir)), sorted(names),
                             "it left something in a foreign folder")

    def test_a_folder_that_is_a_file_or_cannot_be_made(self):
        server = Server()
        self.addCleanup(server.remove)
        with open(server.data_dir, "w", encoding="ascii") as file:
            file.write("x")
        self.refused(server)
        other = Server(data_dir="/proc/nowhere/data")
        self.addCleanup(other.remove)
        self.refused(other)

    def test_an_empty_folder_is_welcome_and_closed_to_others(self):
        server = Server()
        self.addCleanup(server.remove)
        server.start()
        self.assertEqual(os.stat(server.data_dir).st_mode & 0o077, 0)
        for name in os.listdir(server.data_dir):
            self.assertEqual(os.stat(os.path.join(server.data_dir, name)).st_mode & 0o077, 0, name)
        server.stop()

    def test_a_copied_folder_works(self):
        server, sids = self.filled()
        other = Server()
        self.addCleanup(other.remove)
        shutil.copytree(server.data_dir, other.data_dir)
        other.start()
        api = Api(other)
        self.assertEqual({api.status(sid).status for sid in sids}, {200})
        api.close()
        other.stop()


if __name__ == "__main__":
    lib.main()
