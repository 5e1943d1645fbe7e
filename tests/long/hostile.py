#!/usr/bin/env python3
# timeout: 1500
"""What tests/e2e/hostile.py has no time for: a hundred thousand mutations, and clients that are slow
with a body or in reading an answer. About three minutes."""
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
import lib  # pylint: disable=wrong-import-position


class Long(lib.Case):

    def test_a_hundred_thousand_mutations(self):
        environment = dict(os.environ, HOSTILE_ROUNDS=os.environ.get("HOSTILE_ROUNDS", "100000"))
        done = subprocess.run([
            sys.executable,
            os.path.join(HERE, "..", "e2e", "hostile.py"), "Hostile.test_random_mutations"
        ], env=environment, timeout=1200, check=False)
        self.assertEqual(done.returncode, 0)

    def test_a_slow_body_is_cut_off(self):
        with lib.connect(self.server) as sock:
            sock.sendall(
                b"PUT /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
            )
            start, got = time.monotonic(), None
            sock.settimeout(1)
            while time.monotonic() - start < 90 and got is None:
                try:
                    sock.sendall(b" ")
                    got = sock.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    got = b""
        self.assertIsNotNone(got, "still open after 90 s")
        if got:
            self.assertRegex(got, rb"\AHTTP/1\.1 408 ")

    def test_an_idle_connection_is_closed_without_a_word(self):
        with lib.connect(self.server) as sock:
            got, closed = lib.read_all(sock, 150)
        self.assertEqual((got, closed), (b"", True))

    def test_a_reader_that_never_reads_is_cut_off(self):
        sid = self.api.session()
        self.api.joined(sid, "a")
        for _ in range(20):
            self.expect(self.api.send(sid, "a", "x" * 50000), 201)
        self.api.close()  # or its idle end, after 75 s, would be taken for the reader's
        with lib.connect(self.server) as sock:
            sock.settimeout(1)
            time.sleep(1)
            poll = b"GET /v1/sessions/%s/messages HTTP/1.1\r\nHost: x\r\nX-Agent-Id: a\r\n\r\n" % sid.encode(
            )
            fds = self.server.fds()
            try:
                sock.sendall(poll * 200)
            except OSError:
                pass
            end = time.monotonic() + 90
            while self.server.fds() >= fds and time.monotonic() < end:
                time.sleep(0.5)
            self.assertLess(self.server.fds(), fds,
                            "a reader that never reads keeps its connection")


if __name__ == "__main__":
    unittest.main()
