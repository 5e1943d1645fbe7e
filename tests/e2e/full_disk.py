#!/usr/bin/env python3
"""The data folder takes no more while the service runs (the issue: "503 while running, never silent
loss"): the store's own maximum, a file size limit, a full file system (a tmpfs in a mount namespace of
its own, where that may be made), a folder that is removed or closed. What promises something durable is
refused at once, in the words clients may see, and leaves no trace; all else goes on; with room again
the service comes back by itself; what was acknowledged is there, then and after a restart."""
# timeout: 240
import os
import resource
import shutil
import subprocess
import threading
import time
import unittest

import lib
from lib import Api, Server

AT_ONCE_S = 2.0    # measured in milliseconds; a machine with other work may stall
RECOVERS_S = 10.0  # a probe a second


def data_file(server):
    return os.path.join(server.data_dir, "nexus.mdb")


class Full(unittest.TestCase):
    """What every kind of full folder must show."""

    def serve(self, *args, kind=Server, **options):
        server = kind(*args, **options)
        self.addCleanup(server.remove)
        server.start()
        api = Api(server)
        self.addCleanup(api.close)
        return server, api

    def prepare(self, api, **more):
        """Some acknowledged state that later must be there."""
        sid = api.session(greeting="g", creatorAgentId="boss", ttl=900, maxAgents=9, **more)
        keys = {agent: api.joined(sid, agent) for agent in ("a", "b")}
        code = api.code(sid)
        self.assertEqual(api.send(sid, "a", "first", keys["a"]).status, 201)
        return {"sid": sid, "keys": keys, "code": code}

    def refused(self, answer, begun=None):
        self.assertEqual((answer.status, answer.error), (503, "service_unavailable"), repr(answer))
        self.assertRegex(answer.headers.get("Retry-After", ""), r"^[1-9]\d*$")
        if begun is not None:
            self.assertLess(time.monotonic() - begun, AT_ONCE_S, "not at once")

    def all_refused(self, api, known):
        """Everything that promises something durable, in turn."""
        sid, keys, code = known["sid"], known["keys"], known["code"]
        for name, request in {
                "create": lambda: api.create(creatorAgentId="x"), "join": lambda: api.join(sid, "late"),
                "renew": lambda: api.renew(sid, "a", {"ttl": 4321}), "pair": lambda: api.pair(sid),
                "claim": lambda: api.claim(code, "late"), "leave": lambda: api.leave(sid, "a", keys["a"])}.items():
            with self.subTest(name):
                begun = time.monotonic()
                self.refused(request(), begun)

    def unchanged(self, api, known, ttl=900):
        body = api.status(known["sid"]).json
        self.assertEqual((sorted(body["agents"]), body["ttl"], body["greeting"]), (["a", "b", "boss"], ttl, "g"))
        self.assertEqual(api.pair_status(known["code"]).json, {"state": "pending"})

    def goes_on(self, api, known, durable=False):
        """What promises nothing durable: reading, health, and messages in memory."""
        sid = known["sid"]
        self.unchanged(api, known)
        self.assertEqual(api.request("GET", "/health").status, 200)
        self.assertEqual(api.request("GET", "/v1/stats").status, 200)
        for _ in range(3):
            sent = api.send(sid, "a", "meanwhile", known["keys"]["a"])
            if durable:
                self.refused(sent)
            else:
                self.assertEqual(sent.status, 201, sent)
            got = api.poll(sid, "b").json["messages"]
            self.assertEqual(got[0]["text"], "g")
            self.assertIn("first", [m["text"] for m in got])
            self.assertEqual("meanwhile" in [m["text"] for m in got], not durable)

    def recovers(self, request):
        """Asks until it is done again. Nothing but 503 may come before."""
        end = time.monotonic() + RECOVERS_S
        while True:
            answer = request()
            if answer.status < 300:
                return answer
            self.refused(answer)
            self.assertLess(time.monotonic(), end, "it does not come back")
            time.sleep(0.05)

    def after(self, server, api, known, args=()):
        """All works again, and still does after a restart."""
        del args
        sid, keys = known["sid"], known["keys"]
        self.recovers(lambda: api.renew(sid, "a", {"ttl": 901}))
        self.unchanged(api, known, 901)
        known["made"] = api.session(creatorAgentId="x")
        keys["new"] = api.joined(sid, "new")
        self.assertEqual(api.claim(known["code"], "claimer").status, 200)
        self.assertEqual(api.leave(sid, "b", keys["b"]).status, 200)
        self.assertEqual(api.send(sid, "a", "again", keys["a"]).status, 201)
        sessions = api.request("GET", "/v1/stats").json["activeSessions"]
        api.close()
        server.stop()
        server.start()
        self.assertEqual(sorted(api.status(sid).json["agents"]), ["a", "boss", "claimer", "new"])
        self.assertEqual(api.status(known["made"]).json["agents"], ["x"])
        self.assertEqual(api.pair_status(known["code"]).json, {"state": "claimed"})
        for agent in ("a", "new"):
            self.assertEqual(api.join(sid, agent, keys[agent]).status, 200)
        self.assertEqual(api.request("GET", "/v1/stats").json["activeSessions"], sessions)
        api.close()
        server.stop()


class FileSize(Full):
    """A file size limit: writes end with EFBIG, or are cut short, and with SIGXFSZ."""

    def limit(self, server, size=None):
        soft = resource.RLIM_INFINITY if size is None else size
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))

    def fill(self, server, api, big=40000):
        """Sets the limit a little above the file's size and creates until it is met."""
        self.limit(server, os.path.getsize(data_file(server)) + 128 * 1024)
        for _ in range(200):
            answer = api.create(greeting="f" * big)
            if answer.status != 201:
                break
        self.refused(answer)

    def test_refuses_goes_on_and_comes_back(self):
        for args in ((), ("--durable-messages",)):
            with self.subTest(args):
                server, api = self.serve(*args)
                known = self.prepare(api)
                self.fill(server, api)
                before = api.request("GET", "/v1/stats").json
                for _ in range(2):
                    self.all_refused(api, known)
                    self.goes_on(api, known, bool(args))
                    time.sleep(1.2)  # a probe comes between, and must fail
                after = api.request("GET", "/v1/stats").json
                for total in ("activeSessions", "totalAgents"):
                    self.assertEqual(after[total], before[total])
                self.limit(server)
                self.after(server, api, known)

    def test_a_limit_far_above_what_a_probe_writes(self):
        """The file is over 4 MiB: a probe beside it has room, the file itself has none."""
        server, api = self.serve()
        known = self.prepare(api)
        for _ in range(22):
            self.assertEqual(api.create(greeting="f" * 200000).status, 201)
        self.assertGreater(os.path.getsize(data_file(server)), 4 * 1024 * 1024)
        self.fill(server, api, 200000)
        for _ in range(3):
            self.goes_on(api, known)
            time.sleep(0.7)
        self.limit(server)
        self.after(server, api, known)

    def test_refusals_are_not_counted_as_sessions(self):
        server, api = self.serve("--max-sessions", "12", "--loops", "2")
        known = self.prepare(api)
        for _ in range(3):
            self.fill_in_parallel(server, api)
            self.limit(server)
            self.recovers(lambda: api.renew(known["sid"], "a", {"ttl": 900}))
        self.unchanged(api, known)
        self.assertEqual(api.request("GET", "/v1/stats").json["activeSessions"], 1)
        for number in range(11):
            self.assertEqual(api.create().status, 201, "session %d of 12 is refused" % (number + 2))
        self.assertEqual(api.create().status, 503)
        api.close()
        server.stop()

    def fill_in_parallel(self, server, api):
        """Refused creates by eight at once, so that groups of them fail."""
        self.limit(server, 8192)
        answers = []

        def create():
            one = Api(server)
            answers.append(one.create(greeting="f" * 50000))
            one.close()
        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(lib.TIMEOUT_S)
        self.assertEqual(len(answers), 8)
        for answer in answers:
            self.refused(answer)
        self.refused(api.create())

    def test_polling_does_not_hammer_a_full_disk(self):
        """Polls move the expiry, which is written now and then; while nothing can be written they
        must not make the service try, fail and roll back all the time."""
        server, api = self.serve()
        known = self.prepare(api)
        sids = [api.session(creatorAgentId="x", ttl=900) for _ in range(20)]
        self.limit(server, 8192)
        self.refused(api.create())
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for sid in sids:
                self.assertEqual(api.poll(sid, "x").status, 200)
        lines = server.output().count(b"takes no changes")
        self.assertTrue(1 <= lines <= 2, "%d complaints in the log" % lines)
        self.limit(server)
        self.after(server, api, known)

    def test_a_log_that_may_not_grow(self):
        server, api = self.serve("--log-requests")
        self.limit(server, 2048)
        for _ in range(100):
            self.assertEqual(api.request("GET", "/health").status, 200)
        self.assertEqual(os.path.getsize(server.log.name), 2048)
        api.close()
        server.stop()

    def test_a_limit_from_the_start_is_told(self):
        """Not ended by a signal: the folder cannot be made, and the message says why."""
        server = Server()
        self.addCleanup(server.remove)
        spawn = subprocess.Popen([lib.NEXUS] + server.args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, env=server.env,
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)))
        said = spawn.communicate(timeout=lib.TIMEOUT_S)[0].decode("utf-8", "replace")
        self.assertGreater(spawn.returncode, 0, "ended by signal %d: %s" % (-spawn.returncode, said))
        self.assertIn(server.data_dir, said)


class StoreMaximum(Full):
    """--max-store: the store's own size is used up. A small change may still find room."""

    def test_a_full_store(self):
        for args in ((), ("--durable-messages",)):
            with self.subTest(args):
                server, api = self.serve("--max-store", 1024 * 1024, "--max-sessions", 60, *args)
                known = self.prepare(api)
                begun = time.monotonic()
                sids = []
                for _ in range(100):
                    answer = api.create(greeting="f" * 40000, ttl=8)
                    if answer.status != 201:
                        break
                    sids.append(answer.json["sessionId"])
                self.refused(answer)
                self.assertGreater(len(sids), 5)
                self.hammer(server, api, known, begun + 6)
                self.assertEqual(len([sid for sid in sids if api.status(sid).status == 200]), len(sids))
                # They expire, and with them the store empties.
                while api.request("GET", "/v1/stats").json["activeSessions"] > 1:
                    self.assertLess(time.monotonic(), begun + 30, "sessions do not expire")
                    time.sleep(0.1)
                self.recovers(lambda: api.create(greeting="f" * 40000, ttl=3600))
                self.after(server, api, known)

    def hammer(self, server, api, known, end):
        """Creates too large for what is left, while others read: each is refused, and at once."""
        refusals, faults, stop = [], [], threading.Event()

        def large():
            one = Api(server)
            try:
                while not stop.is_set():
                    begun = time.monotonic()
                    answer = one.create(greeting="f" * 150000, ttl=3600)
                    self.refused(answer, begun)
                    refusals.append(time.monotonic() - begun)
            except BaseException as fault:  # pylint: disable=broad-except
                faults.append(fault)
            finally:
                one.close()
        threads = [threading.Thread(target=large) for _ in range(2)]
        for thread in threads:
            thread.start()
        polls = 0
        try:
            while time.monotonic() < end and not faults:
                body = api.poll(known["sid"], "b")
                self.assertEqual(body.status, 200, body)
                self.assertIn("first", [m["text"] for m in body.json["messages"]])
                self.unchanged(api, known)
                polls += 1
                time.sleep(0.01)
        finally:
            stop.set()
            for thread in threads:
                thread.join(lib.TIMEOUT_S)
        self.assertEqual(faults, [])
        self.assertGreater(len(refusals), 20)
        self.assertGreater(polls, 20)


class TmpfsServer(Server):
    """A server whose data folder is a small tmpfs that only it and its holder see."""

    holder = None

    def mount(self, size):
        os.makedirs(self.data_dir)
        script = 'mount -t tmpfs -o size="$1",mode=0700 tmpfs "$2" && echo ready && exec sleep 600'
        self.holder = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", size,
                                        self.data_dir], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL)
        return self.holder.stdout.readline() == b"ready\n"

    def inside(self, name):
        return "/proc/%d/root%s" % (self.holder.pid, os.path.join(self.data_dir, name))

    def spawn(self):
        enter = ["nsenter", "--mount=/proc/%d/ns/mnt" % self.holder.pid, "--wd=" + os.getcwd()]
        self.process = subprocess.Popen(enter + [lib.NEXUS] + self.args, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=self.env)
        return self

    def remove(self):
        super().remove()
        if self.holder:
            self.holder.kill()
            self.holder.wait(lib.TIMEOUT_S)
            self.holder.stdout.close()
            shutil.rmtree(self.home, ignore_errors=True)


class FileSystem(Full):
    """A true ENOSPC."""

    def fill(self, server):
        """Takes all that is left; a file's last page can be part of it, so byte by byte at the end."""
        with open(server.inside("filler"), "ab", buffering=0) as file:
            for block in (65536, 4096, 512):
                try:
                    while True:
                        file.write(b"\0" * block)
                except OSError:
                    continue

    def test_a_full_file_system(self):
        for args in ((), ("--durable-messages",)):
            with self.subTest(args):
                server = TmpfsServer(*args)
                self.addCleanup(server.remove)
                if os.geteuid() != 0 or not server.mount("3m"):
                    self.skipTest("no tmpfs can be mounted here (needs root and a mount namespace)")
                server.start()
                api = Api(server)
                self.addCleanup(api.close)
                known = self.prepare(api)
                self.fill(server)
                for _ in range(300):  # the file has pages of its own to spare at first
                    answer = api.create(greeting="f" * 20000)
                    if answer.status != 201:
                        break
                self.refused(answer)
                for _ in range(2):
                    self.all_refused(api, known)
                    self.goes_on(api, known, bool(args))
                    time.sleep(1.2)
                os.unlink(server.inside("filler"))
                self.after_room(server, api, known)

    def after_room(self, server, api, known):
        begun = time.monotonic()
        self.after(server, api, known)
        self.assertLess(time.monotonic() - begun, RECOVERS_S + 5)


class Gone(Full):
    """The folder is taken away under the service."""

    def test_a_removed_folder_is_no_place_for_promises(self):
        server, api = self.serve()
        known = self.prepare(api)
        shutil.rmtree(server.data_dir)
        for _ in range(2):
            self.all_refused(api, known)
            self.goes_on(api, known)
            time.sleep(1.1)
        api.close()
        server.stop()
        self.assertFalse(os.path.exists(server.data_dir))

    def test_a_file_put_in_the_place_of_the_database(self):
        server, api = self.serve()
        known = self.prepare(api)
        path = data_file(server)
        with open(path, "rb") as file:
            old = file.read()
        with open(path + ".copy", "wb") as file:
            file.write(old)
        os.replace(path + ".copy", path)
        self.all_refused(api, known)
        self.goes_on(api, known)
        api.close()
        server.stop()
        server.start()  # on the copy, which holds all that was acknowledged
        self.unchanged(api, known)
        api.close()
        server.stop()

    def test_a_moved_or_closed_folder_goes_on(self):
        """What is open stays open: the promises are kept where the folder is now."""
        server, api = self.serve()
        known = self.prepare(api)
        moved = server.data_dir + ".moved"
        os.chmod(server.data_dir, 0o500)
        os.chmod(data_file(server), 0o400)
        second = api.session(creatorAgentId="x")
        os.rename(server.data_dir, moved)
        third = api.session(creatorAgentId="x")
        api.close()
        server.stop()
        os.chmod(moved, 0o700)
        os.chmod(os.path.join(moved, "nexus.mdb"), 0o600)
        os.rename(moved, server.data_dir)
        server.start()
        self.unchanged(api, known)
        self.assertEqual([api.status(sid).status for sid in (second, third)], [200, 200])
        api.close()
        server.stop()


if __name__ == "__main__":
    lib.main()
