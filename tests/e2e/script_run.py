#!/usr/bin/env python3
# not under sanitizers: script/run makes the release itself
"""script/run: the guided conversation happens, the service goes on until Ctrl-C, nothing is left."""
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Run(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="nexus-run-")
        self.addCleanup(folder.cleanup)
        self.port = free_port()
        self.command = [os.path.join(ROOT, "script/run"), "--port", str(self.port), "--data-dir",
                        os.path.join(folder.name, "data")]

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=2):
                return True
        except OSError:
            return False

    def test_once(self):
        done = subprocess.run([*self.command, "--once"], stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=TIMEOUT_S)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r'"code":"[A-Z]+-[A-Z]+-[0-9A-Z]{5}"')
        last = done.stdout.split("6. ")[1]
        self.assertEqual(re.findall(r"^    \| (\w+): ", last, re.M), ["bob", "ada"])
        self.assertNotRegex(done.stdout, r"\b[0-9a-f]{48,64}\b")
        self.assertFalse(self.answers())

    def test_serves_until_interrupted_and_leaves_nothing(self):
        with subprocess.Popen(self.command, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as run:
            watchdog = time.monotonic() + TIMEOUT_S
            for line in run.stdout:
                if line.startswith("Serving on ") or time.monotonic() > watchdog:
                    break
            self.assertTrue(self.answers())
            run.send_signal(signal.SIGINT)
            self.assertEqual(run.wait(20), 130)
        self.assertFalse(self.answers())


if __name__ == "__main__":
    unittest.main()
