#!/usr/bin/env python3
"""Reads a test program's output on stdin and prints "PASSED FAILED": from TAP lines (cmocka) or
from the last lines of Python's unittest; else one case, by the exit status given."""
import re
import sys

status = int(sys.argv[1])
text = sys.stdin.buffer.read().decode(errors="replace")
tap_ok = len(re.findall(r"^ok \d+", text, re.M))
tap_bad = len(re.findall(r"^not ok \d+", text, re.M))
ran = re.findall(r"^Ran (\d+) tests? in", text, re.M)
if tap_ok + tap_bad or re.search(r"^1\.\.0$", text, re.M):
    print(tap_ok, tap_bad)
elif ran:
    # A skipped test has shown nothing, so it counts as failed.
    bad = sum(int(n) for n in re.findall(r"(?:failures|errors|skipped|unexpected successes)=(\d+)",
                                         text.rsplit("Ran ", 1)[1]))
    print(max(int(ran[-1]) - bad, 0), bad)
else:
    print(1 if status == 0 else 0, 0 if status == 0 else 1)
