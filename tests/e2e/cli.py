"""The command itself: every error line, exit codes, where settings come from, help, manual pages and
completions as the shells load them.

NEXUS_BIN is the program under test (build/nexus). Needs bash, zsh, fish, groff, man and script; a
missing one is a failure, not a skip.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

NEXUS = os.path.abspath(os.environ.get("NEXUS_BIN", "build/nexus"))
OK, FAILED, USAGE, UNAVAILABLE = 0, 1, 2, 3
DEADLINE_S = 30


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="nexus-cli-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.env = {"HOME": self.dir, "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TERM": "xterm"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]

    def run_nexus(self, *args, env=None, **options):
        return subprocess.run(
            [NEXUS, *args],
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            cwd=self.dir,
            **options,
        )

    def file(self, text, name="config.json"):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as to:
            to.write(text)
        return path

    def assert_fault(self, args, code, line, env=None):
        """Nothing on stdout, exactly one line on stderr."""
        got = self.run_nexus(*args, env=env)
        self.assertEqual((got.returncode, got.stdout, got.stderr), (code, "", line + "\n"), args)

    def settings(self, *args, env=None):
        got = self.run_nexus("config", "serve", "--json", *args, env=env)
        self.assertEqual((got.returncode, got.stderr), (OK, ""), args)
        return {s["name"]: s for s in json.loads(got.stdout)["settings"]}


class Faults(Case):
    def test_lines(self):
        cases = [
            (["serv"], "nexus: unknown verb 'serv'; did you mean 'serve'?"),
            (["Session"], "nexus: unknown verb 'Session'; did you mean 'session'?"),
            (["sess"], "nexus: unknown verb 'sess'; did you mean 'session'?"),
            (["frobnicate"], "nexus: unknown verb 'frobnicate'; 'nexus --help' lists them"),
            ([""], "nexus: unknown verb ''; 'nexus --help' lists them"),
            (["a\nb\x1b[31m"], "nexus: unknown verb 'a?b?[31m'; 'nexus --help' lists them"),
            (["--versoin"], "nexus: unknown option '--versoin'; did you mean '--version'?"),
            (["--hepl"], "nexus: unknown option '--hepl'; did you mean '--help'?"),
            (["-h"], "nexus: unknown option '-h'; options are long, 'nexus --help' lists them"),
            (["serve", "now"], "nexus serve: unexpected argument 'now'; 'nexus serve --help' tells what it takes"),
            (["serve", "--lisen", ":1"], "nexus serve: unknown option '--lisen'; did you mean '--listen'?"),
            (["serve", "--rate_limit=1"], "nexus serve: unknown option '--rate_limit'; did you mean '--rate-limit'?"),
            (["serve", "--xyzzy"], "nexus serve: unknown option '--xyzzy'; 'nexus serve --help' lists them"),
            (["serve", "-p"], "nexus serve: unknown option '-p'; options are long, 'nexus serve --help' lists them"),
            (["serve", "--ttl"], "nexus serve: --ttl needs a value: --ttl SECONDS"),
            (["serve", "--data-dir", "--in-memory"], "nexus serve: --data-dir needs a value: --data-dir DIR"),
            (["serve", "--in-memory=yes"], "nexus serve: --in-memory takes no value"),
            (["serve", "--no-ttl"], "nexus serve: unknown option '--no-ttl'; 'nexus serve --help' lists them"),
            (["serve", "--ttl=90000"], "nexus serve: --ttl: '90000' is not a number from 1 to 86400"),
            (["serve", "--data-dir="], "nexus serve: --data-dir: '' is not a path"),
            (
                ["serve", "--listen=3000"],
                "nexus serve: --listen: '3000' is not an address and port such as 127.0.0.1:3000, [::1]:3000 or :3000",
            ),
            (
                ["serve", "--public-url", "here"],
                "nexus serve: --public-url: 'here' is not a URL such as https://messaging.example",
            ),
            (
                ["serve", "--trusted-proxy", "10.0.0.0/40"],
                "nexus serve: --trusted-proxy: '10.0.0.0/40' is not a list of addresses such as "
                "10.0.0.1,192.168.0.0/16,::1",
            ),
            (
                ["serve", "--max-body=1T"],
                "nexus serve: --max-body: '1T' is not a number of bytes from 1024 to 67108864",
            ),
            (["serve", "--ttl=20", "--max-ttl=10"], "nexus serve: ttl 20 (--ttl) is more than max-ttl 10 (--max-ttl)"),
            (
                ["serve", "--in-memory", "--data-dir=x"],
                "nexus serve: in-memory and data-dir exclude each other: give one of them",
            ),
            (["config", "serv"], "nexus config: unknown verb 'serv'; did you mean 'serve'?"),
            (["config", "zzz"], "nexus config: unknown verb 'zzz'; 'nexus config --help' lists them"),
            (
                ["config", "path", "x"],
                "nexus config path: unexpected argument 'x'; 'nexus config path --help' tells what it takes",
            ),
            (["config", "--jsn"], "nexus config: unknown option '--jsn'; did you mean '--json'?"),
            (["help", "serv"], "nexus help: unknown verb or topic 'serv'; did you mean 'serve'?"),
            (["help", "exit-code"], "nexus help: unknown verb or topic 'exit-code'; did you mean 'exit-codes'?"),
            (["help", "zzzz"], "nexus help: unknown verb or topic 'zzzz'; 'nexus help' lists them"),
            (["help", "session", "creat"], "nexus session: unknown verb 'creat'; did you mean 'create'?"),
            (["version", "x"], "nexus version: unexpected argument 'x'; 'nexus version --help' tells what it takes"),
            (["completion"], "nexus completion: bash|zsh|fish is missing; usage: nexus completion bash|zsh|fish"),
            (["completion", "bsh"], "nexus completion: 'bsh' is not one of bash|zsh|fish; did you mean 'bash'?"),
            (["completion", "tcsh"], "nexus completion: 'tcsh' is not one of bash|zsh|fish"),
            (["man", "serv"], "nexus man: unknown verb 'serv'; did you mean 'serve'?"),
            (["man", "serve", "x"], "nexus man: unexpected argument 'x'; 'nexus man --help' tells what it takes"),
        ]
        for args, line in cases:
            with self.subTest(args=args):
                self.assert_fault(args, USAGE, line)

    def test_no_verb_prints_help_to_stderr(self):
        got = self.run_nexus()
        self.assertEqual((got.returncode, got.stdout), (USAGE, ""))
        self.assertIn("usage: nexus VERB", got.stderr)
        self.assertEqual(got.stderr, self.run_nexus("help").stdout)

    def test_output_that_cannot_be_written(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            for args in (["help"], ["version"], ["config"], ["config", "--json"], ["man"], ["completion", "fish"]):
                got = subprocess.run(
                    [NEXUS, *args], env=self.env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=DEADLINE_S
                )
                self.assertEqual(got.returncode, FAILED, args)
                self.assertEqual(got.stderr, "nexus: cannot write the output: No space left on device\n")


class Help(Case):
    def paths(self, verb=()):
        """Every verb of the table, as help itself lists them."""
        text = self.run_nexus("help", *verb).stdout
        yield verb
        part = re.search(r"^Verbs\n((?:  .*\n)+)", text, re.M)
        for name in re.findall(r"^  ([a-z][a-z-]*)  +\S", part.group(1), re.M) if part else []:
            yield from self.paths((*verb, name))

    def test_every_verb_has_help_two_ways(self):
        paths = list(self.paths())
        self.assertGreater(len(paths), 8)
        for verb in paths:
            by_help = self.run_nexus("help", *verb)
            self.assertEqual((by_help.returncode, by_help.stderr), (OK, ""), verb)
            self.assertIn("usage: " + " ".join(("nexus", *verb)), by_help.stdout)
            for line in by_help.stdout.split("\n"):
                self.assertLessEqual(len(line), 80, line)
                self.assertEqual(line, line.rstrip(), verb)
            by_option = self.run_nexus(*verb, "--help")
            self.assertEqual((by_option.returncode, by_option.stdout), (OK, by_help.stdout), verb)

    def test_help_beats_whatever_is_before_it(self):
        self.assertEqual(self.run_nexus("serve", "--in-memory", "--help").returncode, OK)

    def test_topics(self):
        codes = self.run_nexus("help", "exit-codes").stdout
        for code in (OK, FAILED, USAGE, UNAVAILABLE):
            self.assertRegex(codes, rf"(?m)^  {code}  ")
        names = self.run_nexus("help", "environment").stdout
        listed = re.findall(r"^  ([A-Z][A-Z0-9_]+)$", names, re.M)
        self.assertEqual(len(listed), len(set(listed)), "a variable is listed twice")
        for name in ("PORT", "MAX_TTL_SECONDS", "NEXUS_SERVE_RATE_LIMIT", "NEXUS_CONFIG", "NEXUS_URL", "NO_COLOR"):
            self.assertIn(name, listed)
        settings = self.run_nexus("help", "settings").stdout
        for name in self.settings():
            self.assertRegex(settings, rf"(?m)^  serve\.{name}( |$)")
        example = re.search(r"\{\"serve\".*?\}\}", settings, re.S).group(0)
        self.file(example, ".config/nexus/config.json")
        self.assertEqual(self.settings()["rate-limit"]["source"], "file")

    def test_version(self):
        for args in (["version"], ["--version"]):
            got = self.run_nexus(*args)
            self.assertEqual((got.returncode, got.stderr), (OK, ""))
            self.assertRegex(got.stdout, r"^nexus \d+\.\d+\.\d+\n$")

    def test_colour_only_on_a_terminal(self):
        for args in (["help"], ["help", "serve"], ["config"], ["serv"]):
            got = self.run_nexus(*args)
            self.assertNotIn("\x1b", got.stdout + got.stderr, args)
        for args, env, coloured in (
            ("help serve", {}, True),
            ("config", {}, True),
            ("help serve", {"NO_COLOR": ""}, True),
            ("help serve", {"NO_COLOR": "1"}, False),
            ("config", {"NO_COLOR": "1"}, False),
            ("help serve", {"TERM": "dumb"}, False),
        ):
            got = subprocess.run(
                ["script", "-qec", f"{NEXUS} {args}", "/dev/null"],
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=DEADLINE_S,
            )
            self.assertEqual(got.returncode, OK, args)
            self.assertEqual(b"\x1b[" in got.stdout, coloured, (args, env))


# name: (older variable or None, text in file, in older variable, in variable, as flag, values of the four)
def values(option):
    kind = option["kind"]
    if kind == "flag":
        return [True, False, True, False]
    if option["name"] == "listen":
        return [":1", ":2", ":3", ":4"]
    if option["name"] == "public-url":
        return ["http://a", "http://b", "http://c", "http://d"]
    if kind == "text":
        return ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"]
    top = option["top"]
    return [top, top - 1, top - 2, top - 3]


OLD = {
    "listen": "PORT",
    "data-dir": "DATA_DIR",
    "max-ttl": "MAX_TTL_SECONDS",
    "max-agents": "MAX_AGENTS",
    "agent-inactivity": "AGENT_INACTIVITY_SECONDS",
}
TOP = {  # values that go with every other default
    "rate-limit": 1000,
    "claim-limit": 1000,
    "loops": 9,
    "ttl": 80000,
    "max-ttl": 80000,
    "default-agents-v1": 49,
    "default-agents": 49,
    "max-agents": 49,
    "agent-inactivity": 1000,
    "max-sessions": 1000,
    "max-body": 100000,
    "max-session-bytes": 100000000,
    "max-memory": 2000000000,
    "max-store": 2000000000,
    "max-connections": 1000,
}


class Settings(Case):
    def flag_words(self, name, value):
        if isinstance(value, bool):
            return ["--" + name] if value else ["--no-" + name]
        return [f"--{name}={value}"]

    def test_precedence_of_every_setting(self):
        defaults = self.settings()
        self.assertGreater(len(defaults), 20)
        path = os.path.join(self.dir, ".config/nexus/config.json")
        for name, default in defaults.items():
            with self.subTest(name=name):
                value = default["value"]
                kind = "flag" if isinstance(value, bool) else "number" if isinstance(value, int) else "text"
                four = values({"name": name, "kind": kind, "top": TOP.get(name, 0)})
                new = "NEXUS_SERVE_" + name.upper().replace("-", "_")
                old = OLD.get(name)
                self.assertEqual((default["source"], default["origin"]), ("default", None))
                self.file(json.dumps({"serve": {name: four[0]}}), ".config/nexus/config.json")
                env = {}
                got = self.settings()[name]
                self.assertEqual((got["value"], got["source"], got["origin"]), (four[0], "file", path))
                if old:
                    env[old] = str(four[1]).lstrip(":")
                    got = self.settings(env=env)[name]
                    self.assertEqual((got["value"], got["source"], got["origin"]), (four[1], "environment", old))
                env[new] = str(four[2]).lower()
                got = self.settings(env=env)[name]
                self.assertEqual((got["value"], got["source"], got["origin"]), (four[2], "environment", new))
                got = self.settings(*self.flag_words(name, four[3]), env=env)[name]
                self.assertEqual((got["value"], got["source"], got["origin"]), (four[3], "flag", "--" + name))
                os.unlink(path)

    def test_help_and_config_list_the_same(self):
        text = self.run_nexus("help", "serve").stdout
        options = set(re.findall(r"^  --([a-z0-9-]+)", text, re.M)) - {"help", "config"}
        self.assertEqual(options, set(self.settings()))

    def test_port_changes_the_port_alone(self):
        self.assertEqual(self.settings(env={"PORT": "8080"})["listen"]["value"], "127.0.0.1:8080")
        self.file('{"serve":{"listen":"[::1]:1"}}', ".config/nexus/config.json")
        self.assertEqual(self.settings(env={"PORT": "8080"})["listen"]["value"], "[::1]:8080")

    def test_defaults_follow_given_caps(self):
        got = self.settings(env={"MAX_TTL_SECONDS": "60", "MAX_AGENTS": "1"})
        self.assertEqual([got[n]["value"] for n in ("ttl", "default-agents", "default-agents-v1")], [60, 1, 1])
        got = self.settings("--max-body=32M")
        self.assertEqual(got["max-session-bytes"]["value"], 32 << 20)

    def test_environment_faults(self):
        for env, line in (
            ({"MAX_TTL_SECONDS": "1h"}, "MAX_TTL_SECONDS (environment): '1h' is not a number from 1 to 86400"),
            ({"PORT": "http"}, "PORT (environment): 'http' is not a number from 0 to 65535"),
            ({"MAX_AGENTS": "51"}, "MAX_AGENTS (environment): '51' is not a number from 1 to 50"),
            (
                {"AGENT_INACTIVITY_SECONDS": "-1"},
                "AGENT_INACTIVITY_SECONDS (environment): '-1' is not a number from 0 to 86400",
            ),
            (
                {"NEXUS_SERVE_IN_MEMORY": "2"},
                "NEXUS_SERVE_IN_MEMORY (environment): '2' is neither true nor false",
            ),
            (
                {"NEXUS_SERVE_TTL": "70", "MAX_TTL_SECONDS": "60"},
                "ttl 70 (NEXUS_SERVE_TTL (environment)) is more than max-ttl 60 (MAX_TTL_SECONDS (environment))",
            ),
            (
                {"HOME": ""},
                "no place for the data: HOME is not set; give --data-dir DIR or --in-memory",
            ),
        ):
            for verb in ("serve", "config"):
                self.assert_fault([verb], USAGE, f"nexus {verb}: {line}", env=env)

    def test_a_hidden_variable_is_not_looked_at(self):
        got = self.settings("--listen=:1", env={"PORT": "nonsense"})
        self.assertEqual(got["listen"]["value"], ":1")

    def test_file_faults(self):
        for text, line in (
            ("{", None),
            ("", None),
            ("[]", "1:1: an object is wanted here, this is an array"),
            ('{"serv":{}}', "1:2: unknown section 'serv'; did you mean 'serve'?"),
            ('{\n "serve": {\n  "listn": ":1"}}', "3:3: unknown key 'listn'; did you mean 'listen'?"),
            ('{"serve":{"ttl":5,"ttl":6}}', "1:19: serve.ttl is set twice"),
            ('{"serve":{"ttl":"5"}}', "1:17: serve.ttl: a number is wanted here, this is a string"),
            ('{"serve":{"ttl":0}}', "1:17: serve.ttl: '0' is not a number from 1 to 86400"),
        ):
            path = self.file(text)
            got = self.run_nexus("serve", "--config", path)
            self.assertEqual((got.returncode, got.stdout), (USAGE, ""), text)
            self.assertEqual(got.stderr.count("\n"), 1)
            if line:
                self.assertEqual(got.stderr, f"nexus serve: {path}:{line}\n")
            else:
                self.assertRegex(got.stderr, rf"^nexus serve: {re.escape(path)}:1:[12]: not JSON: ")

    def test_which_file(self):
        at_home = self.file('{"serve":{"ttl":11}}', ".config/nexus/config.json")
        at_xdg = self.file('{"serve":{"ttl":12}}', "xdg/nexus/config.json")
        named = self.file('{"serve":{"ttl":13}}', "named.json")
        given = self.file('{"serve":{"ttl":14}}', "given.json")
        env = {}
        for path, ttl, args, more in (
            (at_home, 11, [], {}),
            (at_home, 11, [], {"XDG_CONFIG_HOME": "relative"}),
            (at_xdg, 12, [], {"XDG_CONFIG_HOME": os.path.join(self.dir, "xdg")}),
            (named, 13, [], {"NEXUS_CONFIG": named}),
            (given, 14, ["--config", given], {}),
        ):
            env.update(more)
            self.assertEqual(self.settings(*args, env=env)["ttl"]["value"], ttl)
            got = self.run_nexus("config", "path", *args, env=env)
            self.assertEqual((got.returncode, got.stdout), (OK, path + "\n"))
            got = self.run_nexus("config", *args, env=env)
            self.assertRegex(got.stdout, rf"(?m)^serve\.ttl +{ttl} +{re.escape(path)}$")

    def test_files_that_cannot_be_read(self):
        os.mkfifo(os.path.join(self.dir, "pipe"))
        big = self.file(" " * 300_000)
        for name, why in (
            ("absent.json", "No such file or directory"),
            (".", "Is a directory"),
            ("pipe", "not a regular file"),
            ("/dev/zero", "not a regular file"),
            (big, "File too large"),
        ):
            line = f"cannot read the configuration file {name}: {why}"
            self.assert_fault(["serve", "--config", name], UNAVAILABLE, "nexus serve: " + line)
            self.assert_fault(["config"], UNAVAILABLE, "nexus config: " + line, env={"NEXUS_CONFIG": name})

    def test_text_output_is_aligned(self):
        lines = self.run_nexus("config", env={"PORT": "1"}).stdout.splitlines()
        column = lines[0].index("FROM")
        self.assertTrue(lines[0].startswith("SETTING"))
        for line in lines[1:]:
            self.assertRegex(line[column - 2 :], r"^  \S")
            self.assertIn(line[column:], ("default", "PORT (environment)"))

    def test_json_shape(self):
        for args in (["config", "--json"], ["--json", "config"], ["config", "serve", "--json"]):
            got = self.run_nexus(*args)
            if args[0] == "--json":  # an option of config, not of nexus
                self.assertEqual(got.returncode, USAGE)
                continue
            answer = json.loads(got.stdout)
            self.assertEqual(list(answer), ["configPath", "configRead", "settings"])
            self.assertFalse(answer["configRead"])
            for setting in answer["settings"]:
                self.assertEqual(list(setting), ["verb", "name", "value", "source", "origin"])


class Serve(Case):
    def start(self, *args, env=None):
        child = subprocess.Popen(
            [NEXUS, "serve", *args],
            env={**self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait, DEADLINE_S)
        self.addCleanup(lambda: child.poll() is None and child.kill())
        return child

    def line(self, child):
        ready, _, _ = select.select([child.stderr], [], [], DEADLINE_S)
        self.assertTrue(ready, "no line in time")
        return child.stderr.readline().decode()

    def test_ready_line_and_orderly_end(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            child = self.start("--in-memory", "--listen=127.0.0.1:0", "--loops=1")
            line = self.line(child)
            found = re.fullmatch(
                r"nexus: serving on http://127\.0\.0\.1:(\d+) \(in memory, nothing is kept\)\n", line
            )
            self.assertTrue(found, line)
            socket.create_connection(("127.0.0.1", int(found.group(1))), DEADLINE_S).close()
            child.send_signal(number)
            self.assertEqual(child.wait(DEADLINE_S), OK)

    def test_data_folder(self):
        for args, env, folder in (
            ([], {}, os.path.join(self.dir, ".local/state/nexus/sessions")),
            ([], {"XDG_STATE_HOME": os.path.join(self.dir, "state")}, os.path.join(self.dir, "state/nexus/sessions")),
            (["--data-dir", os.path.join(self.dir, "data")], {}, os.path.join(self.dir, "data")),
        ):
            child = self.start("--listen=localhost:0", "--loops=1", *args, env=env)
            line = self.line(child)
            self.assertRegex(line, rf"^nexus: serving on http://127\.0\.0\.1:\d+ \(data in {re.escape(folder)}\)\n$")
            parent = os.stat(os.path.dirname(folder))
            self.assertEqual(stat.S_IMODE(parent.st_mode), 0o700)
            child.send_signal(signal.SIGTERM)
            self.assertEqual(child.wait(DEADLINE_S), OK)

    def test_an_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            child = self.start("--in-memory", f"--listen=127.0.0.1:{port}")
            _, said = child.communicate(timeout=DEADLINE_S)
            self.assertEqual(child.returncode, UNAVAILABLE)
            self.assertRegex(said.decode(), rf"^nexus serve: .*127\.0\.0\.1:{port}.*\n$")
            self.assertEqual(said.count(b"\n"), 1)


class Helper(Case):
    """nexus-session is another program: found in three places, given the rest of the line."""

    def helper(self, folder, text="#!/bin/sh\nprintf '%s|' \"$@\"\nexit 7\n", mode=0o755):
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, "nexus-session")
        with open(path, "w", encoding="utf-8") as to:
            to.write(text)
        os.chmod(path, mode)

    def nexus_in(self, folder):
        os.makedirs(folder, exist_ok=True)
        return shutil.copy(NEXUS, os.path.join(folder, "nexus"))

    def run_copy(self, program, *args, env=None):
        return subprocess.run(
            [program, *args], env={**self.env, **(env or {})}, capture_output=True, text=True, timeout=DEADLINE_S
        )

    def test_three_places(self):
        program = self.nexus_in(os.path.join(self.dir, "bin"))
        libexec = os.path.join(self.dir, "elsewhere")
        words = ["session", "send", "--json", "a b", "", "--help"]
        for folder, env in (
            (os.path.join(self.dir, "libexec/nexus"), {}),
            (os.path.join(self.dir, "bin"), {}),
            (libexec, {"NEXUS_LIBEXEC": libexec}),
        ):
            self.helper(folder, f"#!/bin/sh\necho {folder}\nprintf '%s|' \"$@\"\nexit 7\n")
            got = self.run_copy(program, *words, env=env)
            self.assertEqual((got.returncode, got.stderr), (7, ""))
            self.assertEqual(got.stdout, f"{folder}\nsend|--json|a b||--help|")

    def test_missing(self):
        folder = os.path.join(self.dir, "bin")
        program = self.nexus_in(folder)
        got = self.run_copy(program, "session", "ls")
        self.assertEqual((got.returncode, got.stdout), (UNAVAILABLE, ""))
        self.assertEqual(
            got.stderr,
            "nexus: the helper program 'nexus-session' of 'nexus session' cannot be run (No such file or "
            f"directory; looked in {folder} and ../libexec/nexus); install it, or set NEXUS_LIBEXEC to its folder\n",
        )
        self.helper(folder, mode=0o644)
        got = self.run_copy(program, "session", "ls")
        self.assertEqual(got.returncode, UNAVAILABLE)
        self.assertIn("Permission denied", got.stderr)
        got = self.run_copy(program, "session", "ls", env={"NEXUS_LIBEXEC": "/nowhere"})
        self.assertEqual(got.returncode, UNAVAILABLE)
        self.assertIn("looked in /nowhere)", got.stderr)

    def test_help_of_session_needs_no_helper(self):
        program = self.nexus_in(os.path.join(self.dir, "bin"))
        got = self.run_copy(program, "help", "session", "create")
        self.assertEqual(got.returncode, OK)
        self.assertIn("usage: nexus session create", got.stdout)


class Manual(Case):
    def test_pages_have_no_warning(self):
        for verb in ("", "serve", "session", "config", "help", "version", "completion", "man"):
            page = self.run_nexus("man", *verb.split())
            self.assertEqual((page.returncode, page.stderr), (OK, ""))
            self.assertTrue(page.stdout.isascii())
            got = subprocess.run(
                ["groff", "-ww", "-Tutf8", "-man"],
                input=page.stdout,
                env=self.env,
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
            )
            self.assertEqual((got.returncode, got.stderr), (0, ""), verb)
            shown = re.sub(r".\x08", "", got.stdout)
            for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"):
                self.assertIn(heading, shown)
            name = "nexus" + (f"-{verb}" if verb else "")
            self.assertRegex(shown, rf"(?m)^ +{name} - \S")

    def test_man_shows_every_option(self):
        path = os.path.join(self.dir, "nexus-serve.1")
        with open(path, "w", encoding="utf-8") as to:
            to.write(self.run_nexus("man", "serve").stdout)
        got = subprocess.run(
            ["man", "--warnings=w", "-l", path],
            env={**self.env, "MANWIDTH": "100", "MANPAGER": "cat", "MAN_KEEP_FORMATTING": ""},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        self.assertEqual((got.returncode, got.stderr), (0, ""))
        for name in self.settings():
            self.assertRegex(got.stdout, rf"(?m)^ +--{name}\b")
        self.assertIn("NEXUS_SERVE_RATE_LIMIT", got.stdout)
        self.assertNotIn("\\", got.stdout)


class Completion(Case):
    """What each shell offers at the end of a line; the same table for all three."""

    def setUp(self):
        super().setUp()
        os.makedirs(os.path.join(self.dir, "bin"))
        os.symlink(NEXUS, os.path.join(self.dir, "bin/nexus"))
        self.env["PATH"] = os.path.join(self.dir, "bin") + ":" + self.env["PATH"]
        os.makedirs(os.path.join(self.dir, "place/inner dir"))
        self.file("", "place/a file")
        for name in ("abc123", "abd456"):
            os.makedirs(os.path.join(self.dir, ".config/messaging/sessions", name))
        self.file('{"alice": "abc123", "bob":"abd456"}', ".config/messaging/aliases.json")
        self.scripts = {}
        for shell in ("bash", "zsh", "fish"):
            got = self.run_nexus("completion", shell)
            self.assertEqual((got.returncode, got.stderr), (OK, ""))
            self.scripts[shell] = self.file(got.stdout, "completion." + shell)

    # The line to complete, and all that is to be offered (None: anything with the beginning).
    CASES = [
        ("nexus ", {"serve", "session", "config", "help", "version", "completion", "man"}),
        ("nexus se", {"serve", "session"}),
        ("nexus serve --max-t", {"--max-ttl"}),
        ("nexus serve --in-memory --max-t", {"--max-ttl"}),
        ("nexus serve --listen x --max-t", {"--max-ttl"}),
        ("nexus serve --listen=127.0.0.1:3 --max-t", {"--max-ttl"}),
        ("nexus serve --no-", {"--no-in-memory", "--no-durable-messages", "--no-log-requests"}),
        ("nexus config ", {"serve", "path"}),
        ("nexus config se", {"serve"}),
        ("nexus config serve --js", {"--json"}),
        ("nexus completion ", {"bash", "zsh", "fish"}),
        ("nexus completion z", {"zsh"}),
        ("nexus help ex", {"exit-codes"}),
        ("nexus help config ", {"serve", "path"}),
        ("nexus man ver", {"version"}),
        ("nexus session crea", {"create"}),
        ("nexus session send ab", {"abc123", "abd456"}),
        ("nexus session send al", {"alice"}),
        ("nexus session poll --agent-id me ab", {"abc123", "abd456"}),
        ("nexus session send --strict al", {"alice"}),
        ("nexus session unalias bo", {"bob"}),
        ("nexus session config s", {"set-url", "show"}),
        ("nexus help session crea", {"create"}),
        ("nexus session --url http://x:1/ crea", {"create"}),
        ("nexus serve x", set()),
        ("nexus serve --ttl ", set()),
    ]
    PATHS = [
        ("nexus serve --data-dir pla", {"place"}),
        ("nexus serve --data-dir place/", {"place/inner dir"}),
        ("nexus serve --config place/a", {"place/a file"}),
        ("nexus serve --data-dir=pla", {"place"}),
    ]

    @staticmethod
    def words_of(line):
        """Cuts as readline does, with '=' and ':' words of their own."""
        words = re.findall(r"[=:]+|[^\s=:]+", line)
        return words + [""] if line.endswith(" ") else words

    def test_bash(self):
        for line, wanted in self.CASES + self.PATHS:
            words = self.words_of(line)
            script = (
                'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                "complete -p nexus >/dev/null && _nexus && "
                '[ ${#COMPREPLY[@]} -eq 0 ] || printf "%s\\n" "${COMPREPLY[@]}"'
            )
            got = subprocess.run(
                ["bash", "--norc", "-uc", script, "bash", self.scripts["bash"], *words],
                env=self.env,
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                cwd=self.dir,
            )
            self.assertEqual(got.stderr, "", line)
            self.assertEqual(set(got.stdout.splitlines()), wanted, line)

    def test_fish(self):
        for line, wanted in self.CASES + self.PATHS:
            got = subprocess.run(
                ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", self.scripts["fish"], line],
                env=self.env,
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                cwd=self.dir,
            )
            self.assertEqual((got.returncode, got.stderr), (0, ""), line)
            offered = {entry.split("\t")[0] for entry in got.stdout.splitlines()}
            offered = {entry.split("=", 1)[-1].rstrip("/") for entry in offered}
            self.assertEqual(offered, wanted, line)

    def zsh_offers(self, lines):
        """Presses Tab in a real interactive zsh. Everything that is offered goes through compadd,
        which is replaced by one that writes the matches down."""
        prepare = (
            "PS1='READY> '; unsetopt zle_bracketed_paste prompt_cr prompt_sp; autoload -Uz compinit; "
            f"compinit -u -d {self.dir}/dump; source {self.scripts['zsh']}\n"
            "compadd() { local -a hits; builtin compadd -A hits \"$@\" 2>/dev/null; "
            f'(($#hits)) && print -rl -- $hits >>{self.dir}/offered; builtin compadd "$@" }}\n'
            f"note() {{ zle complete-word; print -r -- END >>{self.dir}/offered; zle kill-buffer; zle -I }}\n"
            "zle -N note; bindkey '^T' note\n"
        )
        path = self.file(prepare, "prepare.zsh")
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(self.dir)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**self.env, "TERM": "dumb"})
        try:
            os.write(fd, f"source {path}\n".encode())
            return [self.zsh_line(fd, line, first=index == 0) for index, line in enumerate(lines)]
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(fd)

    def zsh_line(self, fd, line, first):
        offered = os.path.join(self.dir, "offered")
        deadline = time.monotonic() + DEADLINE_S
        said = b""
        sent = False
        if os.path.exists(offered):
            os.unlink(offered)
        while time.monotonic() < deadline:
            ready, _, _ = select.select([fd], [], [], 0.05)
            if ready:
                said += os.read(fd, 65536)
            if not sent and (not first or b"READY> " in said):
                os.write(fd, line.encode() + b"\x14")
                sent = True
            if sent and os.path.exists(offered):
                with open(offered, encoding="utf-8") as file:
                    text = file.read()
                if text.endswith("END\n"):
                    return set(text.splitlines()) - {"END", ""}
        self.fail(f"zsh did not answer to {line!r}: {said!r}")
        return set()

    def test_zsh(self):
        lines = self.CASES + self.PATHS
        for (line, wanted), offered in zip(lines, self.zsh_offers([line for line, _ in lines])):
            offered = {entry.rstrip("/").replace("\\ ", " ") for entry in offered}
            # _files offers a path in parts, those that are already there included.
            parts = set(line.split()[-1].replace("=", "/").split("/")) if (line, wanted) in self.PATHS else set()
            wanted = {os.path.basename(entry) for entry in wanted}
            self.assertEqual(offered - (parts - wanted), wanted, line)

    def test_scripts_are_sound(self):
        for shell, script in self.scripts.items():
            got = subprocess.run([shell, "-n", script], env=self.env, capture_output=True, timeout=DEADLINE_S)
            self.assertEqual((got.returncode, got.stdout, got.stderr), (0, b"", b""), shell)


class Weight(Case):
    def test_links_little(self):
        got = subprocess.run(["ldd", NEXUS], capture_output=True, text=True, timeout=DEADLINE_S)
        libraries = set(re.findall(r"^\s*(?:/\S*/)?(lib\w+|ld-linux|linux-vdso)", got.stdout, re.M))
        if "asan" not in got.stdout:
            self.assertIn("libc", libraries)
            self.assertLessEqual(libraries, {"libc", "libuv", "liblmdb", "ld-linux", "linux-vdso", "libpthread"})


if __name__ == "__main__":
    unittest.main()
