"""What the tests of `nexus session` share: running the command in a home of its own.

NEXUS_SESSION_BIN  the helper program (default: build/nexus-session)
NEXUS_BIN          the command; when it is there, some cases also run through `nexus session`
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from mock_session import Mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
HELPER = os.environ.get("NEXUS_SESSION_BIN", str(ROOT / "build" / "nexus-session"))
NEXUS = os.environ.get("NEXUS_BIN")
NON_JSON = {"error": "non_json_response"}


class Ran:
    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout.decode()
        self.err = done.stderr.decode()

    @property
    def json(self):
        return json.loads(self.out)


class Case(unittest.TestCase):
    command = [HELPER]

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="nexus-session-test-")
        self.addCleanup(shutil.rmtree, self.home, True)
        os.mkdir(os.path.join(self.home, "tmp"))

    def mock(self, *args, **kwargs):
        mock = Mock(*args, **kwargs)
        mock.__enter__()
        self.addCleanup(mock.__exit__)
        self.addCleanup(lambda: self.assertEqual(mock.violations, []))
        return mock

    def environment(self, home=None, **env):
        base = {"HOME": home or self.home, "TMPDIR": os.path.join(home or self.home, "tmp"),
                "PATH": os.environ["PATH"], "no_proxy": "*"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                base[name] = os.environ[name]
        base.update(env)
        return base

    def run_session(self, *words, stdin=b"", home=None, **env):
        return Ran(subprocess.run([*self.command, *words], input=stdin, capture_output=True,
                                  env=self.environment(home, **env), timeout=30))

    def good(self, *words, **kwargs):
        ran = self.run_session(*words, **kwargs)
        self.assertEqual(ran.code, 0, (words, ran.out, ran.err))
        return ran.json

    def bad(self, *words, code=1, **kwargs):
        ran = self.run_session(*words, **kwargs)
        self.assertEqual(ran.code, code, (words, ran.out, ran.err))
        return ran

    def state(self, *parts, home=None):
        return pathlib.Path(home or self.home, ".config", "messaging", *parts)

    def text(self, *parts):
        return self.state(*parts).read_text()

    def write(self, content, *parts):
        path = self.state(*parts)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(content)

    def joined(self, mock, agent="a", **create):
        """A session at the mock that `agent` has joined through the client."""
        words = [w for k, v in create.items() for w in (f"--{k}", v)]
        session = self.good("create", "--url", mock.url, *words)["sessionId"]
        self.good("join", session, "--agent-id", agent, "--url", mock.url)
        return session
