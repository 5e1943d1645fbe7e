#!/usr/bin/env python3
"""`nexus session` against a mock service: outputs, exit codes, state files, precedence, fallbacks.
What the client does by itself is tested in session_client_local.py.

NEXUS_TEST_SERVER  a real server's URL; the cases of RealServer then run against it too
Other variables: tests/support/session_case.py.
"""

import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from session_case import NEXUS, NON_JSON, ROOT, Case  # noqa: E402


class Flow(Case):
    """The seed's full flow, with two homes."""

    def flow(self, mock):
        other = tempfile.mkdtemp(prefix="nexus-session-test-")
        self.addCleanup(shutil.rmtree, other, True)
        os.mkdir(os.path.join(other, "tmp"))
        env = {"NEXUS_URL": mock.url}
        created = self.good("create", "--greeting", "Hi!", **env)
        session = created["sessionId"]
        self.assertEqual(created["ttl"], 3660)
        self.assertEqual(self.good("join", session, "--agent-id", "a", **env)["status"], "joined")
        pair = self.good("pair", session, **env)
        self.assertEqual(self.good("pair-status", pair["code"], **env), {"state": "pending"})
        ran = self.run_session("claim", pair["code"], "--agent-id", "b", home=other, **env)
        self.assertEqual(ran.json["status"], "claimed")
        self.assertIn("✅ Claimed! Tip: poll for messages", ran.err)
        self.assertEqual(self.good("pair-status", pair["code"], **env), {"state": "claimed"})
        ran = self.run_session("poll", session, home=other)
        self.assertEqual([m["agentId"] for m in ran.json["messages"]], ["system", "system"])
        self.assertIn(f"💡 Send a message: nexus session send {session}", ran.err)
        self.good("send", session, "Great", home=other)
        texts = [m["text"] for m in self.good("poll", session)["messages"]]
        self.assertEqual((texts[0], texts[-1]), ("Hi!", "Great"))
        self.assertEqual(self.good("poll", session)["messages"], [])
        self.assertEqual(len(self.good("poll", session, "--after", "0")["messages"]), 3)
        self.assertEqual(self.good("status", session)["agents"], ["a", "b"])
        return session, other

    def test_both(self):
        mock = self.mock()
        session, other = self.flow(mock)
        self.assertFalse([p for p in mock.paths() if "/v1/session/" in p or
                          p.endswith("/v1/session")])
        self.assertEqual(self.good("renew", session, "--ttl", "100")["ttl"], 100)
        self.assertEqual(self.good("leave", session, home=other)["status"], "removed")
        self.assertFalse(self.state("sessions", session, home=other).exists())

    def test_generation_1_only(self):
        for router in ("json", "html"):
            with self.subTest(router):
                mock = self.mock((1,), router_404=router)
                self.flow(mock)
                # Asked once a home under the new spelling, then remembered (pair knows none).
                new = [p for p in mock.paths() if "/v1/sessions" in p]
                self.assertEqual(len(new), 2, new)
                remembered = json.loads(self.text("server-generations.json"))
                self.assertEqual(remembered[mock.url]["generation"], 1)

    def test_generation_2_only(self):
        mock = self.mock((2,))
        self.flow(mock)
        self.assertFalse(self.state("server-generations.json").exists())

    def test_remembered_generation_is_corrected(self):
        mock = self.mock((1,))
        session = self.joined(mock)
        mock.generations = {2}
        self.good("status", session)
        self.assertEqual(json.loads(self.text("server-generations.json")), {})
        mock.generations = {1}
        self.good("status", session)
        stale = {mock.url: {"generation": 1, "fetchedAt": int(time.time()) - 90000}}
        self.write(json.dumps(stale), "server-generations.json")
        del mock.requests[:]
        self.good("status", session)
        self.assertEqual(len(mock.requests), 2)

    def test_renew_and_leave_at_generation_1(self):
        mock = self.mock((1,))
        session = self.joined(mock)
        self.assertEqual(self.bad("renew", session).json["error"], "not_found")
        self.assertEqual(self.bad("leave", session).json["error"], "not_found")
        self.assertTrue(self.state("sessions", session, "agent").exists())


class Output(Case):
    def test_body_is_passed_through(self):
        mock = self.mock()
        body = b' {"sessionId" : "abc", "n": 1.10, "big": 12345678901234567890, "n": 1e400}\n\n'
        mock.override = lambda m, p: (200, "text/plain", body)
        ran = self.run_session("status", "abc", "--url", mock.url)
        self.assertEqual((ran.code, ran.out), (0, body.decode()))
        mock.override = lambda m, p: (200, "application/json", b'{"a":1}')
        self.assertEqual(self.run_session("status", "abc", "--url", mock.url).out, '{"a":1}\n')

    def test_error_body_and_exit_code(self):
        mock = self.mock()
        ran = self.bad("status", "nosuch", "--url", mock.url)
        self.assertEqual(ran.json["error"], "session_not_found")
        self.assertFalse(self.state("sessions", "nosuch").exists())

    def test_server_line_is_one(self):
        mock = self.mock()
        session = self.joined(mock)
        for words in (["status", session], ["pair", session], ["poll", session],
                      ["send", session, "x"], ["renew", session], ["bind", session], ["ls"],
                      ["poll-all"], ["doctor"], ["leave", session]):
            ran = self.run_session(*words, NEXUS_URL=mock.url)
            lines = [line for line in ran.err.splitlines() if line.startswith("→ server: ")]
            self.assertEqual(len(lines), 1, (words, ran.err))
            json.loads(ran.out)

    def test_no_json(self):
        for mode in ("html", "502", "hang-up"):
            mock = self.mock(mode=mode)
            for words in (["create"], ["status", "x"], ["join", "x", "--agent-id", "a"],
                          ["pair", "x"], ["claim", "A-B-C", "--agent-id", "a"],
                          ["pair-status", "A-B-C"], ["send", "x", "t", "--agent-id", "a"],
                          ["poll", "x", "--agent-id", "a"], ["renew", "x", "--agent-id", "a"],
                          ["leave", "x", "--agent-id", "a"], ["bind", "x"]):
                ran = self.bad(*words, "--url", mock.url)
                self.assertEqual(ran.out, '{"error":"non_json_response"}\n', (mode, words))
        self.assertFalse(self.state("sessions").exists())

    def test_500(self):
        mock = self.mock(mode="500")
        self.assertEqual(self.bad("status", "x", "--url", mock.url).json["error"],
                         "internal_error")

    def test_refused(self):
        with socket.socket() as taken:  # bound, never listening
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            self.assertEqual(self.bad("create", "--url", url).json, NON_JSON)

    def test_no_such_host(self):
        ran = self.bad("create", "--url", "http://nosuch.invalid", NEXUS_HTTP_TIMEOUT="5")
        self.assertEqual(ran.json, NON_JSON)

    def test_time_out(self):
        mock = self.mock(mode="slow")
        start = time.monotonic()
        ran = self.bad("create", "--url", mock.url, NEXUS_HTTP_TIMEOUT="0.5")
        self.assertEqual(ran.json, NON_JSON)
        self.assertLess(time.monotonic() - start, 5)
        self.write("a\n", "sessions", "s1", "agent")
        self.write(mock.url + "\n", "sessions", "s1", "server")
        start = time.monotonic()
        listed = self.good("ls", NEXUS_STATUS_TIMEOUT="0.3")["sessions"]
        self.assertEqual(listed[0]["status"], "unreachable")
        self.assertLess(time.monotonic() - start, 5)

    def test_endless_answer(self):
        mock = self.mock(mode="endless")
        ran = self.bad("create", "--url", mock.url)
        self.assertEqual(ran.json, NON_JSON)
        self.assertIn("too large", ran.err)

    def test_redirects(self):
        mock, elsewhere = self.mock(), self.mock()
        session = self.joined(mock)

        def redirect(to):
            def answer(method, path):
                if path.startswith("/moved"):
                    return None
                return 308, None, b"", [("Location", to + path)]
            return answer

        mock.override = redirect(elsewhere.url)
        self.assertEqual(self.bad("poll", session).json, NON_JSON)
        self.assertEqual(elsewhere.requests, [])
        seen = []

        def once(method, path):
            seen.append(path)
            if "hop" not in path:
                return 301, None, b"", [("Location", path + "?hop")]
            return 200, "application/json", b'{"state":"active"}'

        mock.override = once
        self.assertEqual(self.good("status", session), {"state": "active"})
        mock.override = lambda m, p: (301, None, b"", [("Location", p)])
        del mock.requests[:]
        self.assertEqual(self.bad("status", session).json, NON_JSON)
        self.assertEqual(len(mock.requests), 6)

    def test_terminal_controls_of_a_server_are_harmless(self):
        mock = self.mock()
        mock.override = lambda m, p: (400, "application/json",
                                      b'{"error":"e","message":"\\u001b[2Jx\\u009by"}')
        ran = self.bad("status", "x", "--url", mock.url)
        self.assertNotIn("\x1b", ran.err)
        self.assertNotIn("\x9b", ran.err)


class Requests(Case):
    def last(self, mock):
        return mock.requests[-1]

    def test_create(self):
        mock = self.mock()
        self.good("create", "--url", mock.url)
        self.assertEqual(json.loads(self.last(mock)["body"]), {"ttl": 3660})
        self.good("--url", mock.url, "--ttl", "120", "create", "--greeting", 'a"b\\ü',
                  "--max-agents=7", "--creator-agent-id", "boss")
        self.assertEqual(json.loads(self.last(mock)["body"]),
                         {"ttl": 120, "greeting": 'a"b\\ü', "maxAgents": 7,
                          "creatorAgentId": "boss"})

    def test_creator_is_remembered(self):
        mock = self.mock()
        created = self.good("create", "--url", mock.url, "--creator-agent-id", "boss")
        session = created["sessionId"]
        self.assertEqual(self.text("sessions", session, "agent"), "boss\n")
        self.assertEqual(self.text("sessions", session, "key"), created["sessionKey"] + "\n")
        self.good("send", session, "x")
        self.assertEqual(self.last(mock)["headers"]["x-session-key"], created["sessionKey"])
        ran = self.bad("leave", session)
        self.assertEqual(ran.json["error"], "forbidden")
        self.assertTrue(self.state("sessions", session, "key").exists())

    def test_options_anywhere_and_foreign(self):
        mock = self.mock()
        session = self.joined(mock)
        self.good("--agent-id", "a", "--url", mock.url, "send", "--interval", "5", session, "hi")
        self.assertEqual(json.loads(self.last(mock)["body"]), {"text": "hi"})
        self.good("--json", '{"a": 1.10}', "send", session)
        self.assertEqual(self.last(mock)["body"], b'{"json":{"a": 1.10}}')
        self.good("--json", "ls")

    def test_send_text(self):
        mock = self.mock()
        session = self.joined(mock)
        for words, text in ((["two words"], "two words"), (["two", "words"], "two words"),
                            (["- item"], "- item"), (["--", "--dashes"], "--dashes"),
                            (["-1"], "-1"), ([""], "")):
            self.good("send", session, *words)
            self.assertEqual(json.loads(self.last(mock)["body"]), {"text": text})
        self.good("send", session, "-", stdin="a\nb ü\n".encode())
        self.assertEqual(json.loads(self.last(mock)["body"]), {"text": "a\nb ü"})
        self.bad("send", session, code=2)
        self.good("send", session, b"bad \xff utf-8")
        self.assertEqual(json.loads(self.last(mock)["body"]), {"text": "bad � utf-8"})

    def test_key_goes_only_to_its_server_and_agent(self):
        mock, other = self.mock(), self.mock()
        session = self.joined(mock)
        other.sessions = mock.sessions
        self.good("send", session, "x")
        self.assertIn("x-session-key", self.last(mock)["headers"])
        self.good("send", session, "x", "--url", other.url)
        self.assertNotIn("x-session-key", self.last(other)["headers"])
        mock.sessions[session].members["b"] = "k"
        self.good("send", session, "x", "--agent-id", "b")
        self.assertNotIn("x-session-key", self.last(mock)["headers"])

    def test_reconnect(self):
        mock = self.mock()
        session = self.joined(mock)
        key = self.text("sessions", session, "key")
        self.good("join", session, "--agent-id", "a", "--url", mock.url)
        self.assertEqual(self.text("sessions", session, "key"), key)
        self.good("join", session, "--url", mock.url)

    def test_another_agent_starts_anew(self):
        mock = self.mock()
        session = self.joined(mock, greeting="g")
        self.good("poll", session)
        self.assertTrue(self.state("sessions", session, "cursor").exists())
        self.good("join", session, "--agent-id", "b", "--url", mock.url)
        self.assertFalse(self.state("sessions", session, "cursor").exists())
        self.assertEqual(self.text("sessions", session, "agent"), "b\n")

    def test_json_support_is_asked_and_cached(self):
        mock = self.mock()
        session = self.joined(mock)
        self.good("send", session, "--json", '{"a":1}')
        self.good("send", session, "both", "--json", "[1]")
        self.assertEqual(mock.paths().count("GET /health"), 1)
        self.assertEqual(self.last(mock)["body"], b'{"text":"both","json":[1]}')
        caps = json.loads(self.text("server-caps.json"))
        self.assertEqual(caps[mock.url]["capabilities"], {"messageFormat": ["text", "json"]})
        self.assertIsInstance(caps[mock.url]["fetchedAt"], int)
        for moment in (int(time.time()) - 301, int(time.time()) + 1000):
            caps[mock.url]["fetchedAt"] = moment
            self.write(json.dumps(caps), "server-caps.json")
            del mock.requests[:]
            self.good("send", session, "--json", "1")
            self.assertEqual(mock.paths().count("GET /health"), 1)
        self.write("not json", "server-caps.json")
        self.good("send", session, "--json", "1")
        self.assertIn(mock.url, json.loads(self.text("server-caps.json")))

    def test_json_fallback(self):
        mock = self.mock(accepts_json=False)
        session = self.joined(mock)
        ran = self.run_session("send", session, "--json", '{"a": 1}')
        self.assertEqual(ran.code, 0)
        self.assertIn("warning", ran.err)
        self.assertEqual(json.loads(self.last(mock)["body"]), {"text": '{"a": 1}'})
        self.good("send", session, "t", "--json", "1")
        self.assertEqual(json.loads(self.last(mock)["body"]), {"text": "t\n1"})
        count = len(mock.requests)
        self.assertEqual(self.bad("send", session, "--json", "1", "--strict").json["error"],
                         "json_not_supported")
        self.assertEqual(len(mock.requests), count)
        self.assertEqual(self.bad("send", session, "--json", "{").json["error"], "invalid_json")

    def test_members(self):
        mock = self.mock()
        session = self.joined(mock)
        self.assertNotIn("members", self.good("poll", session))
        self.assertEqual(self.good("poll", session, "--members")["members"][0]["agentId"], "a")

    def test_after_does_not_store(self):
        mock = self.mock()
        session = self.joined(mock, greeting="g")
        self.good("poll", session, "--after", "0")
        self.assertEqual(self.last(mock)["path"], f"/v1/sessions/{session}/messages")
        self.assertFalse(self.state("sessions", session, "cursor").exists())
        self.good("poll", session)
        self.assertEqual(self.text("sessions", session, "cursor"), "0\n")
        self.good("poll", session)
        self.assertTrue(self.last(mock)["path"].endswith("?after=0"))
        self.good("poll", session, "--after", "5")
        self.assertEqual(self.text("sessions", session, "cursor"), "0\n")

    def test_a_poll_nobody_reads_moves_nothing(self):
        mock = self.mock()
        session = self.joined(mock, greeting="g")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([*self.command, "poll", session], stdout=full,
                                  stderr=subprocess.DEVNULL, env=self.environment(), timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertFalse(self.state("sessions", session, "cursor").exists())


class State(Case):
    def test_files_byte_for_byte(self):
        mock = self.mock()
        session = self.joined(mock)
        self.good("poll", session)
        folder = self.state("sessions", session)
        member_key = mock.sessions[session].members["a"]
        self.assertEqual({p.name: p.read_text() for p in folder.iterdir()},
                         {"agent": "a\n", "key": member_key + "\n", "cursor": "0\n",
                          "server": mock.url + "\n"})
        for path in (self.state(), self.state("sessions"), folder):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o700, path)
        for path in folder.iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)

    def test_modes_are_repaired_and_umask_does_not_matter(self):
        mock = self.mock()
        self.state().mkdir(parents=True)
        os.chmod(self.state(), 0o755)
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        session = self.joined(mock)
        self.assertEqual(stat.S_IMODE(self.state().stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(self.state("sessions", session, "key").stat().st_mode),
                         0o600)

    def test_values_are_trimmed(self):
        mock = self.mock()
        session = self.joined(mock)
        for name in ("agent", "key", "cursor", "server"):
            path = self.state("sessions", session, name)
            value = path.read_text().strip() if path.exists() else "0"
            path.write_text(f"  {value} \r\n\n")
        self.good("send", session, "x")
        self.good("poll", session)

    def test_hostile_session_arguments(self):
        mock = self.mock()
        for word in ("../x", "..", ".", "a/b", "", "a" * 129, "a b", "ü", "a\nb", "%2e"):
            for verb in ("status", "pair", "renew", "leave", "poll", "bind", "poll-status"):
                ran = self.bad(verb, word, "--url", mock.url, "--agent-id", "a")
                self.assertEqual(ran.json["error"], "invalid_session_id")
            self.bad("send", word, "t", "--url", mock.url, "--agent-id", "a")
            self.bad("join", word, "--url", mock.url, "--agent-id", "a")
        self.assertEqual(mock.requests, [])
        self.assertFalse(self.state().exists())

    def test_hostile_answers(self):
        mock = self.mock()
        for hostile in ("../../evil", "..", "", "a" * 129, 5, None):
            answer = json.dumps({"sessionId": hostile, "sessionKey": "k\nX: y"}).encode()
            mock.override = lambda m, p, a=answer: (201, "application/json", a)
            self.assertEqual(self.bad("create", "--url", mock.url).json["sessionId"], hostile)
            self.bad("claim", "A-B-C", "--agent-id", "a", "--url", mock.url)
        self.assertFalse(self.state("sessions").exists())
        mock.override = lambda m, p: (200, "application/json",
                                      b'{"messages":[],"nextCursor":"1\\n/etc"}')
        self.write("a\n", "sessions", "s", "agent")
        self.good("poll", "s", "--url", mock.url)
        self.assertFalse(self.state("sessions", "s", "cursor").exists())

    def test_links_are_not_followed(self):
        mock = self.mock()
        session = self.joined(mock)
        outside = pathlib.Path(self.home, "outside")
        outside.mkdir()
        (outside / "agent").write_text("evil\n")
        self.state("sessions", "linked").symlink_to(outside)
        ran = self.bad("poll", "linked", "--url", mock.url)
        self.assertEqual(ran.json["error"], "missing_agent_id")
        self.assertNotIn("linked", [s["sessionId"] for s in self.good("ls")["sessions"]])
        secret = pathlib.Path(self.home, "secret")
        secret.write_text("s3cret\n")
        key = self.state("sessions", session, "key")
        key.unlink()
        key.symlink_to(secret)
        self.good("send", session, "x")
        self.assertNotIn("x-session-key", mock.requests[-1]["headers"])

    def test_old_client_state(self):
        mock = self.mock()
        session = self.good("create", "--url", mock.url)["sessionId"]
        mock.sessions[session].members["old-bot"] = "k"
        mock.sessions[session].add("x", "one")
        mock.sessions[session].add("x", "two")
        shutil.rmtree(self.state())
        pathlib.Path(self.home, "tmp", f"nexus_agent_{session}").write_text("old-bot\n")
        pathlib.Path(self.home, ".nexus-sessions").mkdir()
        cursor = pathlib.Path(self.home, ".nexus-sessions", f"{session}.cursor")
        cursor.write_text("1")
        listed = self.good("ls", NEXUS_URL=mock.url)["sessions"]
        self.assertEqual([(s["sessionId"], s["agentId"], s["cursor"]) for s in listed],
                         [(session, "old-bot", "1")])
        polled = self.good("poll", session, NEXUS_URL=mock.url)
        self.assertEqual([m["text"] for m in polled["messages"]], ["two"])
        self.assertEqual(self.text("sessions", session, "cursor"), "2\n")
        del mock.sessions[session]
        self.run_session("leave", session)
        self.assertEqual(self.good("ls")["sessions"], [])
        self.assertFalse(cursor.exists())

    def test_damaged_state(self):
        mock = self.mock()
        session = self.joined(mock)
        self.write("no url", "sessions", session, "server")
        self.assertEqual(self.bad("status", session).json["error"], "damaged_state")
        self.good("status", session, "--url", mock.url)
        self.write("{", "aliases.json")
        self.assertEqual(self.bad("alias", session, "x").json["error"], "state_error")
        self.assertEqual(self.text("aliases.json"), "{")
        self.good("status", session, "--url", mock.url)
        self.write("[]", "config.json")
        self.bad("create", "--url", mock.url)

    def test_no_temporary_files_stay(self):
        mock = self.mock()
        self.joined(mock)
        left = [p for p in self.state().rglob("*.tmp")]
        self.assertEqual(left, [])

    def test_parallel_aliases_lose_none(self):
        mock = self.mock()
        session = self.joined(mock)
        threads = [threading.Thread(target=self.good, args=("alias", session, f"n{i}"))
                   for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(json.loads(self.text("aliases.json"))),
                         sorted(f"n{i}" for i in range(12)))


class Servers(Case):
    def line(self, ran):
        return [x for x in ran.err.splitlines() if x.startswith("→ server: ")][0]

    def test_precedence(self):
        flag, bound, env, config = (self.mock() for _ in range(4))
        names = {m: f"127.0.0.1:{m.port}" for m in (flag, bound, env, config)}
        session = self.joined(bound)
        for mock in (flag, env, config):
            mock.sessions = bound.sessions
        self.good("config", "set-url", config.url)
        steps = [(["--url", flag.url], {"NEXUS_URL": env.url}, flag, "flag"),
                 ([], {"NEXUS_URL": env.url}, bound, "session"), ([], {}, bound, "session")]
        for words, environ, mock, source in steps:
            ran = self.run_session("status", session, *words, **environ)
            self.assertEqual(self.line(ran), f"→ server: {names[mock]} ({source})")
        # An answer under --url does not move the binding.
        self.assertEqual(self.text("sessions", session, "server"), bound.url + "\n")
        self.state("sessions", session, "server").unlink()
        ran = self.run_session("status", session, NEXUS_URL=env.url)
        self.assertEqual(self.line(ran), f"→ server: {names[env]} (env)")
        self.assertEqual(self.text("sessions", session, "server"), env.url + "\n")
        self.state("sessions", session, "server").unlink()
        ran = self.run_session("status", session, NEXUS_URL="")
        self.assertEqual(self.line(ran), f"→ server: {names[config]} (config)")
        self.good("config", "unset")
        shown = self.good("config", "show")
        self.assertEqual((shown["serverUrl"], shown["source"]), ("https://messaging.md", "default"))
        self.assertEqual(shown["configPath"], str(self.state("config.json")))

    def test_a_failure_adopts_nothing(self):
        mock = self.mock()
        self.write("a\n", "sessions", "s", "agent")
        self.bad("poll", "s", "--url", mock.url)
        self.assertFalse(self.state("sessions", "s", "server").exists())

    def test_join_ignores_and_writes_the_binding(self):
        one, two = self.mock(), self.mock()
        session = self.joined(one)
        two.sessions = one.sessions
        ran = self.run_session("join", session, "--agent-id", "b", NEXUS_URL=two.url)
        self.assertEqual(ran.code, 0)
        self.assertEqual(self.text("sessions", session, "server"), two.url + "\n")

    def test_warnings(self):
        one, two = self.mock(), self.mock()
        self.good("config", "set-url", one.url)
        self.assertIn("warning: --url", self.run_session("create", "--url", two.url).err)
        self.assertIn("warning: NEXUS_URL", self.run_session("create", NEXUS_URL=two.url).err)
        self.assertNotIn("warning", self.run_session("create", "--url", one.url + "/").err)
        session = self.joined(one)
        self.assertIn("warning: --url", self.run_session("status", session, "--url", two.url).err)

    def test_urls_are_normalised(self):
        for given, kept in (("HTTP://LocalHost:3000/", "http://localhost:3000"),
                            ("https://Messaging.MD///", "https://messaging.md"),
                            ("https://a.b/Path/X/", "https://a.b/Path/X"),
                            ("http://[::1]:8080", "http://[::1]:8080")):
            self.assertEqual(self.good("config", "set-url", given),
                             {"ok": True, "serverUrl": kept})
        for wrong in ("ftp://a", "a.b", "http://", "http://u:p@h", "http://h?x", "http://h#x",
                      "http://h:0", "http://h:70000", "http://h:x", "http://h h", "file:///etc",
                      "http://[::1", "http://[::1]x", "http://h\n"[:-1] + "\x01"):
            self.assertEqual(self.bad("config", "set-url", wrong).json["error"], "invalid_url")
            self.bad("create", "--url", wrong, code=2)
            self.bad("create", NEXUS_URL=wrong, code=2)

    def test_config(self):
        self.write('{"other": 1.10, "serverUrl": "http://a"}', "config.json")
        self.good("config", "set-url", "http://b")
        config = json.loads(self.text("config.json"))
        self.assertEqual((config["serverUrl"], config["other"]), ("http://b", 1.1))
        self.assertRegex(config["updatedAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertIn("1.10", self.text("config.json"))
        self.assertEqual(self.good("config", "unset"), {"ok": True})
        self.assertEqual(self.text("config.json"), '{\n  "other": 1.10\n}\n')
        self.assertEqual(self.good("config", "show", NEXUS_URL="http://e")["source"], "env")
        self.state("config.json").unlink()
        self.assertEqual(self.good("config", "unset"), {"ok": True})
        self.bad("config", "nonsense", code=2)
        self.bad("config", "set-url", code=2)

    def test_bind(self):
        one, two = self.mock(), self.mock()
        session = self.joined(one)
        ran = self.bad("bind", session, two.url)
        self.assertEqual(ran.json["error"], "session_not_found")
        self.assertEqual(self.text("sessions", session, "server"), one.url + "\n")
        two.sessions = one.sessions
        answer = {"ok": True, "sessionId": session, "server": two.url}
        self.assertEqual(self.good("bind", session, two.url + "/"), answer)
        self.assertEqual(self.text("sessions", session, "server"), two.url + "\n")
        self.assertEqual(self.good("bind", session, "--url", one.url)["server"], one.url)


class Leave(Case):
    """Each row of the table: the answer to the DELETE, then what is kept."""

    def row(self, status, error, gone, then=None):
        mock = self.mock()
        session = self.joined(mock)
        self.good("alias", session, "friend")

        def answer(method, path):
            if method == "DELETE":
                body = {"error": error} if error else {"ok": True}
                return status, "application/json", json.dumps(body).encode()
            return then

        mock.override = answer
        del mock.requests[:]
        ran = self.run_session("leave", "friend")
        self.assertEqual(ran.code, 0 if gone else 1, ran.err)
        self.assertEqual(ran.json.get("error"), error)
        self.assertEqual(self.state("sessions", session).exists(), not gone)
        self.assertEqual("friend" in json.loads(self.text("aliases.json")), not gone)
        return mock.paths()

    def test_table(self):
        gone = b'{"error":"session_not_found"}'
        self.row(200, None, True)
        self.row(404, "session_not_found", True)
        self.row(404, "agent_not_found", True)
        self.row(401, "invalid_session_key", False)  # still listed
        self.row(401, "invalid_session_key", True, (404, "application/json", gone))
        self.row(401, "invalid_session_key", True,
                 (200, "application/json", b'{"agents":["b"]}'))
        self.row(401, "invalid_session_key", True,
                 (200, "application/json", b'{"members":[{"agentId":"b"}]}'))
        self.row(401, "invalid_session_key", False, (200, "application/json", b'{}'))
        self.row(401, "invalid_session_key", False, (500, "application/json", b'{}'))
        self.row(401, "invalid_session_key", False, (404, "text/html", b'<html>'))
        for status, error in ((401, "missing_session_key"), (403, "forbidden"),
                              (400, "missing_agent_id"), (429, "rate_limit_exceeded"),
                              (500, "internal_error"), (409, "x")):
            paths = self.row(status, error, False)
            self.assertEqual(len(paths), 1)

    def test_204(self):
        mock = self.mock()
        session = self.joined(mock)
        mock.override = lambda m, p: (204, None, b"")
        self.assertEqual(self.good("leave", session), {"ok": True})
        self.assertFalse(self.state("sessions", session).exists())

    def test_no_answer_and_no_json_keep(self):
        mock = self.mock()
        session = self.joined(mock)
        for mode in ("html", "502", "hang-up"):
            mock.mode = mode
            self.assertEqual(self.bad("leave", session).json, NON_JSON)
            self.assertTrue(self.state("sessions", session, "key").exists())


class Library(Case):
    """examples/session_chat.c against the installed library, found by pkg-config."""

    def setUp(self):
        super().setUp()
        self.build = pathlib.Path(os.environ.get("NEXUS_BUILD", ROOT / "build"))
        if not (self.build / "meson-private").is_dir() or not shutil.which("pkg-config"):
            self.skipTest("no meson build folder, or no pkg-config")
        self.root = pathlib.Path(self.home, "root")
        subprocess.run(["meson", "install", "-C", str(self.build), "--no-rebuild",
                        "--destdir", str(self.root)], check=True, capture_output=True, timeout=120)
        (self.pc,) = self.root.rglob("libnexus-session.pc")

    def flags(self, *words):
        env = dict(os.environ, PKG_CONFIG_PATH=str(self.pc.parent),
                   PKG_CONFIG_SYSROOT_DIR=str(self.root))
        done = subprocess.run(["pkg-config", *words, "libnexus-session"], env=env, check=True,
                              capture_output=True, text=True, timeout=30)
        return done.stdout.split()

    def chat(self, program, mock):
        env = self.environment(LD_LIBRARY_PATH=str(self.pc.parent.parent))
        return subprocess.run([program, mock.url], env=env, capture_output=True, text=True,
                              timeout=30)

    def test_example(self):
        program = os.path.join(self.home, "session_chat")
        archive = [str(self.pc.parent.parent / "libnexus-session.a")]
        for libs in (self.flags("--libs"), archive + ["-lcurl"]):
            subprocess.run(["cc", "-std=c99", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra",
                            "-Werror", "-pedantic", str(ROOT / "examples" / "session_chat.c"),
                            *self.flags("--cflags"), *libs, "-o", program],
                           check=True, timeout=60)
            for generations in ((1, 2), (1,), (2,)):
                ran = self.chat(program, self.mock(generations))
                self.assertEqual(ran.returncode, 0, ran.stderr)
                self.assertIn("bob reads bob: I like it.", ran.stdout)
                verified = 2 if 2 in generations else 0
                if generations != (1,):
                    self.assertEqual(ran.stdout.count("[verified]"), verified)
                    self.assertIn("bob has left", ran.stdout)

    def test_only_the_api_is_visible(self):
        (library,) = [p for p in self.root.rglob("libnexus-session.so.*") if not p.is_symlink()]
        names = subprocess.run(["nm", "-D", "--defined-only", str(library)], check=True,
                               capture_output=True, text=True, timeout=30).stdout.split()[2::3]
        self.assertEqual([n for n in names if not n.startswith("nx_session_client_")], [])
        header = (ROOT / "include" / "nexus" / "session.h").read_text()
        self.assertEqual([n for n in names if n + "(" not in header], [])
        self.assertEqual(len(names), header.count("NX_API ") - header.count("define NX_API "))


@unittest.skipUnless(NEXUS and os.access(NEXUS, os.X_OK), "NEXUS_BIN is not set")
class ThroughNexus(Flow):
    command = [NEXUS or "", "session"]


@unittest.skipUnless(os.environ.get("NEXUS_TEST_SERVER"), "NEXUS_TEST_SERVER is not set")
class RealServer(Case):
    def test_flow(self):
        class Server:
            url = os.environ["NEXUS_TEST_SERVER"]
        Flow.flow(self, Server)

    def test_leave_and_json(self):
        env = {"NEXUS_URL": os.environ["NEXUS_TEST_SERVER"]}
        session = self.good("create", **env)["sessionId"]
        self.good("join", session, "--agent-id", "a", **env)
        self.good("send", session, "--json", '{"n":1.10}')
        ran = self.run_session("poll", session)
        self.assertIn("1.10", ran.out)
        self.assertTrue(ran.json["messages"][-1]["verified"])
        self.good("renew", session, "--ttl", "600")
        self.assertTrue(self.good("doctor", **env)["ok"])
        self.assertEqual(self.good("leave", session)["status"], "removed")
        self.assertEqual(self.good("ls")["sessions"], [])


if __name__ == "__main__":
    unittest.main()
