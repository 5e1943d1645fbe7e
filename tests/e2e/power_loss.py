#!/usr/bin/env python3
"""Power loss under the whole service (the issue, "metadata durable"): `nexus serve` runs under the
shim of tests/tools/powerloss, which logs every write and sync on its data folder, while power_load.py
drives it. For each sync and for moments between, the folder is rebuilt as a power loss there would
leave it, a `nexus serve` is started on it, and asked over HTTP: all that was acknowledged before that
moment is there, what was under way is there whole or not at all, and nothing else is there.

POWER_LOSS_SECONDS (20) is what each of the two cases may take to check, POWER_LOSS_STEPS the load's
size, POWER_LOSS_VARIANTS how many torn folders are tried at a point, POWER_LOSS_SEED the seed; tests/long/power_loss.py raises
them. Where there is no time for all points, points are left out evenly, and it says so.
"""
# not under sanitizers: the sanitizer's library and the shim both want to be the first one loaded
# timeout: 240
import argparse
import importlib.util
import os
import random
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

import lib
from lib import Api, Server
from power_load import Load, possible

SECONDS = float(os.environ.get("POWER_LOSS_SECONDS", "20"))
STEPS = int(os.environ.get("POWER_LOSS_STEPS", "28"))
VARIANTS = int(os.environ.get("POWER_LOSS_VARIANTS", "2"))
SEED = int(os.environ.get("POWER_LOSS_SEED") or random.randrange(2**32))
TOOLS = os.path.join(lib.ROOT, "tests", "tools", "powerloss")
REMINDER = "This is an async"


def load_replay():
    spec = importlib.util.spec_from_file_location("replay", os.path.join(TOOLS, "replay.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


replay = load_replay()


class Reborn:
    """A service started on a rebuilt folder; ended by SIGKILL, for the folder is thrown away."""

    def __init__(self, folder, args):
        env = {name: value for name, value in os.environ.items() if not lib.SETTINGS.match(name)}
        command = [lib.NEXUS, "serve", "--listen", "127.0.0.1:0", "--rate-limit", "0", "--loops", "1", "--data-dir", folder]
        self.process = subprocess.Popen(command + list(args), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, env=dict(env, HOME=folder))
        said, end = b"", time.monotonic() + lib.TIMEOUT_S
        while time.monotonic() < end:
            if select.select([self.process.stderr], [], [], 0.5)[0]:
                piece = os.read(self.process.stderr.fileno(), 65536)
                said += piece
                found = re.search(rb"http://127\.0\.0\.1:(\d+)\b", said)
                if found:
                    self.port = int(found.group(1))
                    return
                if not piece:
                    break
        self.end()
        raise AssertionError("the service does not start: %s" % said.decode("utf-8", "replace"))

    def end(self):
        self.process.kill()
        self.process.wait(lib.TIMEOUT_S)
        self.process.stderr.close()


class Checker:
    """One rebuilt folder against what was promised before a moment."""

    def __init__(self, load, api, moment, durable, source):
        self.load, self.api, self.moment, self.durable, self.source = load, api, moment, durable, source
        self.stats = api.request("GET", "/v1/stats").json
        self.members = {}  # Session -> agents, of those that are there

    def expect(self, truth, *words):
        if not truth:
            raise AssertionError(" ".join(str(word) for word in words))

    def all(self):
        known = [session for session in self.load.sessions if session.made.sent < self.moment]
        for session in known:
            self.session(session)
        self.totals()
        for session in self.members:
            self.keys(session)
            self.messages(session)
        for session in self.members:
            self.use(session)

    def session(self, session):
        answer = self.api.status(session.sid)
        if answer.status == 404:
            self.expect(not session.made.promised(self.moment), "an acknowledged session is lost")
            self.expect(all(self.api.pair_status(code.text).status == 404 for code in session.codes),
                        "a code of a session that does not exist")
            return
        self.expect(answer.status == 200, answer)
        body = answer.json
        self.expect((body.get("greeting"), body.get("creatorAgentId"), body["maxAgents"]) ==
                    (session.greeting, session.creator, 50), "a session is not as it was made:", body)
        self.expect(body["ttl"] in possible(session.ttls, self.moment), "a ttl nobody set, or an old one:", body["ttl"])
        there = set(body["agents"])
        self.expect(len(there) == len(body["agents"]), "a member twice")
        for agent, history in session.agents.items():
            states = possible(history, self.moment, False)
            self.expect((agent in there) in states, agent, "is a member:", agent in there, "but may only be:", states)
        self.expect(there <= set(session.agents), "members who never joined:", there - set(session.agents))
        self.members[session] = there
        for code in session.codes:
            self.code(code, session, there)

    def code(self, code, session, there):
        answer = self.api.pair_status(code.text)
        if answer.status == 404:
            self.expect(not code.made.promised(self.moment), "an acknowledged code is lost")
            return
        self.expect(code.made.sent < self.moment, "a code that was not yet asked for")
        claimed = answer.json["state"] == "claimed"
        claimer = possible(code.claims, self.moment)
        self.expect(answer.json["state"] in ("claimed", "pending"), answer)
        self.expect(claimed or None in claimer, "an acknowledged claim is lost")
        self.expect(not claimed or claimer != {None}, "claimed by nobody")
        for op in code.claims:
            history = session.agents[op.what]
            if len(history) == 1 or not history[1].sent < self.moment:
                self.expect(claimed == (op.what in there), "half a claim:", answer.json, op.what, there)

    def totals(self):
        sessions, agents = self.stats["activeSessions"], self.stats["totalAgents"]
        extra = sum(op.sent < self.moment for op in self.load.lost_creates)
        least = len(self.members)
        self.expect(least <= sessions <= least + extra, "sessions:", sessions, "known:", least, "+", extra)
        least = sum(map(len, self.members.values()))
        self.expect(least <= agents <= least + extra, "agents:", agents, "known:", least)

    def keys(self, session):
        for agent in sorted(self.members[session]):
            # A join under way at the moment may have been answered later: with the key it had then.
            if agent in session.keys and self.source.random() < 0.3:
                answer = self.api.join(session.sid, agent, session.keys[agent])
                self.expect(answer.status == 200 and answer.json["sessionKey"] == session.keys[agent],
                            "the key of", agent, "is not valid:", answer)
            if self.source.random() < 0.05:
                self.expect(self.api.join(session.sid, agent, "0" * 64).status == 409, "a wrong key is taken")

    def messages(self, session):
        if not self.members[session]:
            return
        body = self.api.poll(session.sid, sorted(self.members[session])[0]).json
        got = {int(m["cursor"]): (m["agentId"], m["text"], m["verified"], m["id"]) for m in body["messages"]}
        cursors = [int(m["cursor"]) for m in body["messages"]]
        self.expect(cursors == sorted(set(cursors)), "cursors:", cursors)
        greeting = got.pop(0, None)
        self.expect((greeting and greeting[1]) == session.greeting, "the greeting:", greeting)
        reminders = [cursor for cursor, m in got.items() if m[0] == "system"]
        self.expect(len(reminders) <= 1 and all(got[c][1].startswith(REMINDER) for c in reminders), "reminders:", got)
        sure = sum(possible(history, self.moment, False) == {True} for history in session.agents.values())
        if self.durable and sure > 1:
            self.expect(reminders, "two have joined and were not told to remind themselves")
        for cursor in reminders:
            del got[cursor]
        sent = {op.what: op for op in session.messages}
        for cursor, message in got.items():
            op = sent.get(message[:3])
            self.expect(self.durable and op and op.sent < self.moment, "a message nobody sent:", cursor, message[0])
            self.expect(op.acked is None or (op.cursor, op.id) == (cursor, message[3]), "not the message as answered:", cursor)
        there = {message[:3] for message in got.values()}
        for op in session.messages if self.durable else ():
            self.expect(not op.promised(self.moment) or op.what in there, "an acknowledged message is lost: cursor", op.cursor if op.acked else None)
        self.top = max([0] + cursors + [op.cursor for op in session.messages if op.promised(self.moment)])
        if self.source.random() < 0.3:
            agent = sorted(self.members[session])[0]
            answer = self.api.send(session.sid, agent, "after")
            self.expect(answer.status == 201 and int(answer.json["cursor"]) > self.top,
                        "a cursor was used again:", answer, "after", self.top)

    def use(self, session):
        """Goes on with it: a code is claimed, a member leaves."""
        there = self.members[session]
        if self.source.random() < 0.2:
            for code in session.codes:
                if self.api.pair_status(code.text).json.get("state") == "pending":
                    answer = self.api.claim(code.text, "newcomer")
                    self.expect(answer.status == 200, "a pending code cannot be claimed:", answer)
                    there.add("newcomer")
                    break
        leavers = [agent for agent in sorted(there) if agent != "boss" and agent in session.keys]
        if leavers and self.source.random() < 0.3:
            agent = self.source.choice(leavers)
            answer = self.api.leave(session.sid, agent, session.keys[agent])
            self.expect(answer.status == 200, "a member cannot leave:", answer)
            there.remove(agent)
        self.expect(set(self.api.status(session.sid).json["agents"]) == there, "members changed by themselves")


class Losses(replay.Replay):
    """replay.py's walk over the log, with this checker, and within a time."""

    def __init__(self, args, entries, case, load):
        super().__init__(args, entries, [])
        self.case, self.load = case, load
        self.begun, self.left_out, self.syncs, self.first = time.monotonic(), 0, 0, None

    def point(self, folder, point, before):
        kind = self.entries[point].kind if point >= 0 else None
        sync = kind in (replay.SYNC, replay.SYNC_ALL) or (
            kind == replay.WRITE and bool(self.entries[point].flags & replay.DSYNC))
        spent = (time.monotonic() - self.begun) / SECONDS
        at = point / len(self.entries)
        # The time goes to syncs first; a point between is for when there is time to spare.
        if point not in (-1, len(self.entries) - 1) and spent > at + (0.02 if sync else -0.05):
            self.left_out += 1
            return
        self.syncs += sync
        super().point(folder, point, before)

    def check(self, folder, mode, point, before, seed):
        to = os.path.join(self.scratch, "folder")
        shutil.rmtree(to, ignore_errors=True)
        rng = random.Random(seed)
        folder.build(to, mode, rng)
        self.runs += 1
        try:
            server = Reborn(to, self.case.args)
            api = Api(server, 2)
            try:
                Checker(self.load, api, before, self.case.durable, rng).all()
            finally:
                api.close()
                server.end()
        except AssertionError as fault:
            self.failures += 1
            print("FAILED: power lost after entry %d of the log (%s, seed %r): %s" % (point, mode, seed, fault), flush=True)


def compile_shim(to):
    """The shim is no part of the release's build: it is compiled here."""
    path = os.path.join(to, "libnx_powerloss.so")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-pthread", "-o", path,
                    os.path.join(TOOLS, "shim.c"), "-ldl"], check=True, timeout=120)
    return path


class Metadata(unittest.TestCase):
    """Messages in memory; one life of the service."""

    durable, args, lives = False, (), 1

    def drive(self, root):
        """Runs the load. Returns what was promised; leaves the log in root."""
        shim, folder, log = compile_shim(root), os.path.join(root, "data"), os.path.join(root, "log")
        load = Load("%d/%s" % (SEED, type(self).__name__))
        server = Server(*self.args, data_dir=folder, env={
            "LD_PRELOAD": shim, "NX_POWERLOSS_DIR": folder, "NX_POWERLOSS_LOG": log})
        self.addCleanup(server.remove)
        for life in range(self.lives):
            server.start()
            last = life == self.lives - 1
            load.start(server, STEPS)
            load.join()
            if not last:
                # Not in the middle of a write: one that reached the file, and not yet the log, would make
                # the log lie about what the next life found. Kills under load: durability.py.
                time.sleep(0.3)
                server.kill()
        server.stop()
        return load

    def test_power_loss(self):
        print("power_loss.py: POWER_LOSS_SEED=%d %s" % (SEED, type(self).__name__), flush=True)
        root = tempfile.mkdtemp(prefix="nexus-power-")
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        load = self.drive(root)
        entries = replay.read_log(os.path.join(root, "log"))
        commits = sum(entry.kind == replay.WRITE and bool(entry.flags & replay.DSYNC) for entry in entries)
        args = argparse.Namespace(
            dir=os.path.join(root, "data"), base=None, seed=SEED, points=0, variants=VARIANTS, failures=3, keep=None,
            scratch="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        losses = Losses(args, entries, self, load)
        try:
            losses.run()
        finally:
            shutil.rmtree(losses.scratch, ignore_errors=True)
        print("power_loss.py: %d answers were promises, in %d sessions and %d commits; %d syncs tried, %d points left out"
              % (load.answers, len(load.sessions), commits, losses.syncs, losses.left_out), flush=True)
        self.assertEqual(losses.failures, 0, "what was acknowledged is not what is there")
        self.assertGreater(load.answers, 100, "the load hardly did anything")
        self.assertGreater(load.answers, commits * 1.1, "no commit carried two changes")
        self.assertGreater(losses.syncs, min(15, commits), "hardly a sync was tried")


class DurableMessages(Metadata):
    """Messages on disk too; the service is killed once meanwhile and started again."""

    durable, args, lives = True, ("--durable-messages",), 2


if __name__ == "__main__":
    lib.main()
