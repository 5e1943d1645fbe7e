#!/usr/bin/env python3
"""script/bench session-instructions: user instructions a request, by function, under callgrind.

Unlike times these repeat to a few in a thousand, on a busy machine too. nexus runs twice for each
case, with a few and with more requests one after the other on one connection; what the second run
has more, by the number of requests it has more, is the cost of one: start and preparation fall out.
The kernel's part is not seen here (script/bench session shows it), and one connection at a time
means one epoll_wait a request, where a loaded server shares it. Needs valgrind."""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import session
from session_servers import Client, Fault, Nexus, child_setup, clean_environment, end, prepare

FEW, MORE = 500, 2500


class Slow(Nexus):
    """nexus under callgrind: no core of its own, and slow to start."""

    def __init__(self, bench, profile):
        self.home = tempfile.mkdtemp(prefix="nexus-", dir=bench.folder)
        self.errors = os.path.join(self.home, "stderr")
        command = [bench.valgrind, "--tool=callgrind", f"--callgrind-out-file={profile}"]
        command += [bench.nexus, "serve", "--listen", "127.0.0.1:0", "--rate-limit", "0"]
        command += ["--data-dir", os.path.join(self.home, "data"), "--loops", "1"]
        command += ["--max-session-bytes", str(1 << 30), "--no-log-requests"]
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=self.home,
                env=clean_environment(self.home),
                preexec_fn=child_setup(bench.server_core))
        self.pid = self.process.pid
        try:
            self.port = self.wait_ready()
        except BaseException:
            self.close()
            raise

    def close(self):
        end(self.process, patience_s=30)
        shutil.rmtree(self.home, ignore_errors=True)


def run(bench, case, count):
    """{function: instructions} of a whole run with `count` requests."""
    profile = os.path.join(bench.folder, f"{case}-{count}")
    nexus = Slow(bench, profile)
    try:
        client = Client(nexus.port)
        requests = prepare(case, client)
        for number in range(count):
            status, _, body = client.ask(requests[number % len(requests)])
            if status not in (200, 201):
                raise Fault(f"{case}: {status} {body[:200]!r}")
        client.close()
        time.sleep(0.1)
    finally:
        nexus.close()
    return read_profile(profile)


def read_profile(path):
    """Self cost by function. A line after `calls=` is the callee's cost and does not count."""
    costs, names = {}, {}
    where, called, total = ["", ""], False, 0
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if found := re.match(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$", line):
                callee, kind, number, text = found.groups()
                if text:
                    names[kind + number] = text
                if not callee:
                    where[kind == "fn"] = names[kind + number]
            elif line.startswith("calls="):
                called = True
            elif line.startswith("totals:"):
                total = int(line.split()[1])
            elif found := re.match(r"[+\-*\d]\S* (\d+)$", line):
                if not called:
                    name = short_name(*where)
                    costs[name] = costs.get(name, 0) + int(found[1])
                called = False
    if total == 0 or sum(costs.values()) != total:
        raise Fault(f"callgrind's profile was not understood: {path}")
    return costs


def short_name(program, function):
    """Without the compiler's marks; what has no name, by its library."""
    if function.startswith("0x"):
        return os.path.basename(program) + " (no names)"
    return re.sub(r"('\d+|\.(isra|lto_priv|part|constprop|cold)(\.\d+)?|@.*)+$", "", function)


def measure(bench, case):
    few, more = run(bench, case, FEW), run(bench, case, MORE)
    found = {name: (more.get(name, 0) - few.get(name, 0)) / (MORE - FEW) for name in few | more}
    return {name: cost for name, cost in sorted(found.items(), key=lambda one: -one[1])
            if cost >= 1}


def main():
    parser = argparse.ArgumentParser(prog="script/bench session-instructions", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=list(session.TITLES))
    parser.add_argument("--top", type=int, default=25, help="functions shown (25)")
    parser.add_argument("--json", action="store_true", help="a line of JSON after the tables")
    options = parser.parse_args()
    options.quick, options.quiet, options.dir = True, True, None
    bench = None
    try:
        bench = session.Bench(options)
        bench.valgrind = session.find_program("valgrind", "valgrind")
        found = {case: measure(bench, case) for case in bench.cases()}
    except (Fault, OSError, subprocess.SubprocessError) as error:
        print(f"bench session-instructions: {error}", file=sys.stderr)
        return 1
    finally:
        if bench:
            bench.close()
    for case, costs in found.items():
        print(f"\n{session.TITLES[case]}: {sum(costs.values()):.0f} instructions a request\n")
        print("| instructions | function |\n|---|---|")
        for name, cost in list(costs.items())[:options.top]:
            print(f"| {cost:.0f} | `{name}` |")
    if options.json:
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, session.on_signal)
    sys.exit(main())
