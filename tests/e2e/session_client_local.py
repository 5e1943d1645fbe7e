#!/usr/bin/env python3
"""`nexus session`, what the client does by itself or with all its sessions: alias, ls, poll-all,
doctor, poll-daemon, heartbeat, the command line. See session_client.py."""

import json
import os
import pathlib
import signal
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from session_case import Case  # noqa: E402


class Own(Case):
    def test_alias(self):
        mock = self.mock()
        session = self.joined(mock)
        self.assertEqual(self.good("alias", session, "friend"),
                         {"ok": True, "alias": "friend", "sessionId": session})
        self.assertEqual(json.loads(self.text("aliases.json")), {"friend": session})
        self.assertEqual(stat.S_IMODE(self.state("aliases.json").stat().st_mode), 0o600)
        self.assertEqual(self.good("alias", "other", session)["alias"], "other")
        self.assertEqual(self.good("status", "friend")["sessionId"], session)
        self.assertEqual(self.good("send", "friend", "hi")["ok"], True)
        self.assertEqual(self.good("unalias", "friend"), {"ok": True, "removed": "friend"})
        self.assertEqual(self.bad("unalias", "friend").json["error"], "alias_not_found")
        for name in ("a b", "-x", "../x", "", "f" * 48):
            self.assertEqual(self.bad("alias", "--", session, name).json["error"], "invalid_alias")

    def test_alias_to_something_hostile(self):
        self.write('{"x": "../../etc"}', "aliases.json")
        self.assertEqual(self.bad("status", "x").json["error"], "invalid_session_id")

    def test_ls(self):
        mock, gone = self.mock(), self.mock()
        active = self.joined(mock)
        lost = self.joined(mock)
        silent = self.joined(gone)
        broken = self.joined(gone)
        self.good("alias", active, "friend")
        del mock.sessions[lost]
        page = self.mock(mode="html")
        self.write(page.url + "\n", "sessions", broken, "server")
        self.write("http://127.0.0.1:1\n", "sessions", silent, "server")
        listed = {s["sessionId"]: s for s in self.good("ls", "--json")["sessions"]}
        self.assertEqual(list(listed), sorted(listed))
        self.assertEqual(listed[active], {
            "sessionId": active, "alias": "friend", "agentId": "a", "status": "active",
            "server": mock.url, "cursor": None})
        self.assertEqual({s: listed[s]["status"] for s in listed},
                         {active: "active", lost: "not_found", silent: "unreachable",
                          broken: "error"})
        kept = {s["sessionId"] for s in self.good("ls", "--active")["sessions"]}
        self.assertEqual(kept, {active, silent})
        members = {s["sessionId"]: s["members"] for s in self.good("ls", "--members")["sessions"]}
        self.assertEqual(members[active][0]["agentId"], "a")
        self.assertIsNone(members[lost])

    def test_ls_empty(self):
        self.assertEqual(self.good("ls"), {"sessions": []})
        self.assertEqual(self.good("poll-all"), {"sessions": []})
        self.assertFalse(self.state().exists())

    def test_poll_all(self):
        mock = self.mock()
        one = self.joined(mock, greeting="g1")
        two = self.joined(mock, greeting="g2")
        self.good("alias", one, "first")
        polled = {s["sessionId"]: s for s in self.good("poll-all", "--members")["sessions"]}
        self.assertEqual(polled[one]["alias"], "first")
        self.assertEqual([m["text"] for m in polled[one]["messages"]], ["g1"])
        self.assertEqual(polled[two]["members"][0]["agentId"], "a")
        self.assertEqual(self.text("sessions", one, "cursor"), "0\n")
        again = {s["sessionId"]: s for s in self.good("poll-all")["sessions"]}
        self.assertEqual(again[one], {"sessionId": one, "alias": "first", "messages": [],
                                      "members": None})
        del mock.sessions[two]
        self.assertEqual(len(self.good("poll-all", "--active")["sessions"]), 1)
        self.assertEqual(len(self.good("poll-all")["sessions"]), 2)

    def test_doctor(self):
        mock = self.mock()
        session = self.joined(mock)
        self.good("config", "set-url", mock.url)
        report = self.good("doctor")
        self.assertEqual(report, {
            "effectiveServer": mock.url, "source": "config", "divergence": False, "ok": True,
            "health": [{"server": mock.url, "reachable": True, "version": "mock", "uptime": 7}],
            "sessions": [{"sessionId": session, "bound": mock.url, "probed": mock.url,
                          "httpCode": 200, "memberOfSession": True, "keyFile": "ok"}]})
        key = self.state("sessions", session, "key")
        os.chmod(key, 0o644)
        ran = self.bad("doctor")
        self.assertEqual(ran.json["sessions"][0]["keyFile"], "insecure")
        os.chmod(key, 0o600)
        ran = self.bad("doctor", NEXUS_URL=mock.url.replace("127.0.0.1", "localhost"))
        self.assertTrue(ran.json["divergence"])
        del mock.sessions[session].members["a"]
        self.assertIs(self.bad("doctor").json["sessions"][0]["memberOfSession"], False)
        key.unlink()
        del mock.sessions[session]
        gone = self.good("doctor")["sessions"][0]
        self.assertEqual((gone["httpCode"], gone["keyFile"]), (404, "absent"))
        self.good("config", "set-url", "http://127.0.0.1:1")
        ran = self.bad("doctor")
        self.assertEqual([h["reachable"] for h in ran.json["health"]], [False, True])
        self.assertEqual(ran.json["health"][0]["version"], None)


class Loops(Case):
    def start(self, *words, **env):
        process = subprocess.Popen([*self.command, *words], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment(**env))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, 10)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def wait_for(self, question):
        end = time.monotonic() + 10
        while not question():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)

    def test_daemon_asks(self):
        mock = self.mock()
        session = self.joined(mock)
        for answer in (b"n\n", b"", b"what\n"):
            ran = self.bad("poll-daemon", session, stdin=answer)
            self.assertIn("every 30 s for 3600 s? [y/n]", ran.err)
            self.assertEqual(ran.out, "")

    def test_daemon(self):
        mock = self.mock()
        session = self.joined(mock, greeting="g")
        process = self.start("poll-daemon", session, "--interval", "1")
        process.stdin.write(b"y\n")
        process.stdin.close()
        self.wait_for(lambda: self.state("sessions", session, "cursor").exists())
        status = self.good("poll-status", session)
        self.assertEqual((status["running"], status["pid"], status["interval"]),
                         (True, process.pid, 1))
        self.assertEqual(self.good("poll-status")["sessions"], [status])
        self.assertEqual(self.bad("poll-daemon", session, "--yes").json["error"],
                         "already_polling")
        mock.sessions[session].add("b", "later")
        self.wait_for(lambda: self.text("sessions", session, "cursor") == "1\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(10), 0)
        lines = process.stdout.read().decode().splitlines()
        self.assertEqual([json.loads(line)["messages"][0]["text"] for line in lines],
                         ["g", "later"])
        status = self.good("poll-status", session)
        self.assertEqual((status["running"], status["pid"], status["cursor"]), (False, None, "1"))

    def test_daemon_ends_by_itself(self):
        mock = self.mock()
        session = self.joined(mock)
        ran = self.run_session("poll-daemon", session, "--ttl", "1", "--yes")
        self.assertEqual((ran.code, ran.out), (0, ""))
        del mock.sessions[session]
        ran = self.bad("poll-daemon", session, "--yes")
        self.assertEqual(ran.json["error"], "session_not_found")

    def test_heartbeat(self):
        mock = self.mock()
        session = self.joined(mock, greeting="g")
        del mock.requests[:]
        process = self.start("heartbeat", session, "--interval", "1")
        self.wait_for(lambda: len(mock.requests) >= 2)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(10), 0)
        process.stdin.close()
        beat = json.loads(process.stdout.readline())
        self.assertEqual((beat["ok"], beat["sessionId"], beat["newMessages"]), (True, session, 1))
        self.assertFalse(self.state("sessions", session, "cursor").exists())


class Usage(Case):
    def test_unknown_words(self):
        ran = self.bad("craete", code=2)
        self.assertIn("create", ran.err)
        self.assertEqual(len(ran.err.strip().splitlines()), 1)
        self.assertIn("--greeting", self.bad("create", "--greting", "x", code=2).err)
        self.assertEqual(self.bad("create", "--greting", "x", code=2).out, "")

    def test_missing_words(self):
        for words in (["status"], ["join"], ["pair"], ["claim"], ["pair-status"], ["send"],
                      ["poll"], ["renew"], ["leave"], ["alias", "x"], ["unalias"], ["bind"],
                      ["poll-daemon"], ["heartbeat"], ["create", "x"], ["ls", "x"], ["config"], [],
                      ["create", "--ttl", "x"], ["create", "--ttl", "0"], ["create", "--url"]):
            ran = self.bad(*words, code=2)
            self.assertEqual(ran.out, "", words)
            self.assertNotEqual(ran.err, "", words)

    def test_missing_agent(self):
        for words in (["join", "s"], ["claim", "A-B-C"], ["send", "s", "x"], ["poll", "s"],
                      ["renew", "s"], ["leave", "s"]):
            self.assertEqual(self.bad(*words).json["error"], "missing_agent_id")
            ran = self.bad(*words, "--agent-id", "a b")
            self.assertEqual(ran.json["error"], "invalid_agent_id")
        self.assertEqual(self.bad("claim", "a/b", "--agent-id", "a").json["error"],
                         "invalid_code")

    def test_bad_limits(self):
        for value in ("x", "-1", "0", "3601", "1.2.3", "1.", "99999999999999999999"):
            self.bad("create", NEXUS_HTTP_TIMEOUT=value, code=2)
            self.bad("create", NEXUS_STATUS_TIMEOUT=value, code=2)

    def test_help(self):
        for words in (["help"], ["--help"]):
            ran = self.run_session(*words)
            self.assertEqual(ran.code, 0)
            for verb in ("create", "poll-daemon", "unalias", "doctor"):
                self.assertIn(verb, ran.out)
        for words in (["help", "send"], ["send", "--help"], ["--help", "send", "x"]):
            ran = self.run_session(*words)
            self.assertEqual(ran.code, 0)
            self.assertIn("--strict", ran.out)
            self.assertNotIn("--interval", ran.out)
        self.assertIn("send", self.bad("help", "sned", code=2).err)


if __name__ == "__main__":
    unittest.main()
