#!/usr/bin/env python3
# timeout: 900
"""A pairing code lives 600 seconds (docs: wire, section 2), also across kill -9 and a restart: after
that it is expired, cannot be claimed, and its page still teaches and says so. About ten minutes."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import lib  # pylint: disable=wrong-import-position


class Expiry(unittest.TestCase):

    def test_ten_minutes(self):
        server = lib.Server()
        self.addCleanup(server.remove)
        server.start()
        api = lib.Api(server)
        sid = api.session(maxAgents=9, ttl=86400)
        codes = [api.code(sid) for _ in range(4)]
        start = time.monotonic()
        self.assertEqual(api.claim(codes[0], "early").status, 200)
        time.sleep(300)
        api.close()
        server.kill()
        server.start()
        time.sleep(max(0, start + 590 - time.monotonic()))
        self.assertEqual([api.pair_status(code).json["state"] for code in codes],
                         ["claimed"] + ["pending"] * 3)
        self.assertEqual(api.claim(codes[1], "late").status, 200)
        time.sleep(max(0, start + 602 - time.monotonic()))
        self.assertEqual([api.pair_status(code).json["state"] for code in codes],
                         ["claimed", "claimed", "expired", "expired"])
        for code in codes:
            answer = api.claim(code, "too-late")
            self.assertEqual((answer.status, answer.error), (404, "code_expired_or_used"))
        for headers in ({}, {"Accept": "text/html"}):
            page = api.request("GET", "/v1/pair/%s/skill" % codes[2], headers=headers)
            self.assertEqual(page.status, 200)
            self.assertIn(b"expired", page.body.lower())
        api.close()
        server.stop()


if __name__ == "__main__":
    unittest.main()
