#!/usr/bin/env python3
"""script/bench session: the session service beside nginx, in CPU time a request.

The server is pinned to one core (nexus with one loop, nginx with one worker), wrk to another; only
one server is loaded at a time. CPU µs a request = user and system time of the whole process (of
nginx: its worker) from /proc/PID/stat over the run, by the requests wrk counted. Rounds alternate
between the servers; a round with the server under 90 % busy is void and repeated. The median of the
rounds counts. Each round of nexus is a fresh process on a fresh data folder.

Both get the same requests (nexus's spread over 64 sessions) on 32 kept-alive connections, and
answer with the same status and the same number of bytes on the wire: nginx's fixed answer
(`return`) is padded to nexus's by a header. nginx does not parse the body of a POST: it drops it
from its buffer, which is the least a server can do. "floor" is bench/uv_llhttp.c: libuv and llhttp
alone with nexus's bytes. It may be faster than wrk: its void rounds are shown, not repeated.

Durable creates: 64 connections, on disk before the answer; beside them what the store alone does
with 64 records outstanding, and bare write+fdatasync, in the same folder (build/bench/store_bench).
"""

import argparse
import json
import math
import os
import platform
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from session_servers import (CREATE_BODY, Client, Fault, Floor, Nexus, child_setup,
                             clean_environment, cpu_s, end, measure_answer, prepare, request,
                             start_nginx)

CONNECTIONS = 32
CREATE_CONNECTIONS = 64
BUSY_MIN = 0.90
VOIDS_MAX = 3  # repeated rounds for one server of one case
ROUND_EXTRA_S = 1.6  # warm-up, start, preparation
TOTAL_S = 230  # no round begins that would end later than this
GOALS = {"poll-empty": 1.25, "poll-10": 1.25, "send": 2.0}
CREATES_GOAL = 20000
TITLES = {
    "poll-empty": "poll, nothing new",
    "poll-10": "poll, 10 new messages",
    "send": "send, 100 bytes, in memory",
}


# ---- load ------------------------------------------------------------------------------------

LUA_DONE = """
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests":%d,"errors":%d,"refused":%d,"p50_us":%d,"p99_us":%d}\\n', summary.requests,
    e.connect + e.read + e.write + e.timeout, e.status,
    latency:percentile(50), latency:percentile(99)))
end
"""


def lua_text(raw):
    return '"' + "".join(f"\\{byte:03d}" for byte in raw) + '"'


def write_fixed_script(path, raw):
    """A wrk script that repeats one request: wrk asks once for it, and has less to do."""
    with open(path, "w", encoding="ascii") as file:
        file.write(f"local raw = {lua_text(raw)}\nwrk.format = function() return raw end\n")
        file.write(LUA_DONE)


def write_script(path, requests):
    """A wrk script that goes round the requests, ready made."""
    with open(path, "w", encoding="ascii") as file:
        file.write("local all = {\n" + ",\n".join(map(lua_text, requests)) + "}\n")
        file.write("local at, count = 0, #all\n")
        file.write("function request()\n  at = at % count + 1\n  return all[at]\nend\n")
        file.write(LUA_DONE)


def run_wrk(bench, port, script, seconds, connections):
    command = [bench.wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-s", script, f"http://127.0.0.1:{port}/"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=clean_environment(bench.folder), preexec_fn=child_setup(bench.load_core))
    try:
        output = process.communicate(timeout=seconds + 20)[0].decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        raise Fault("wrk did not end") from error
    finally:
        end(process)
        process.stdout.close()
    found = re.search(r"^\{.*\}$", output, re.MULTILINE)
    if process.returncode != 0 or not found:
        raise Fault(f"wrk failed: {output.strip()[-300:]}")
    counts = json.loads(found[0])
    if counts["errors"] or counts["refused"]:
        raise Fault(f"wrk saw {counts['errors']} errors and {counts['refused']} answers not 2xx")
    if counts["requests"] == 0:
        raise Fault("wrk counted no request")
    return counts


def children_s():
    """CPU seconds of the programs that have ended: between two looks, wrk's."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(bench, pid, port, script, connections):
    """One round: a short warm-up, then the load between two looks at the server's CPU time."""
    run_wrk(bench, port, script, 1, 2)
    user, system = cpu_s(pid)
    load = children_s()
    began = time.monotonic()
    counts = run_wrk(bench, port, script, bench.seconds, connections)
    wall = time.monotonic() - began
    user, system = (after - before for after, before in zip(cpu_s(pid), (user, system)))
    load = children_s() - load
    requests = counts["requests"]
    return {
        "us": (user + system) * 1e6 / requests,
        "user_us": user * 1e6 / requests,
        "system_us": system * 1e6 / requests,
        "busy": (user + system) / wall,
        "wrk_busy": load / wall,
        "per_s": requests / wall,
        "p50_us": counts["p50_us"],
        "p99_us": counts["p99_us"],
    }


class Series:
    """The rounds of one server in one case."""

    def __init__(self, case, server, bench):
        self.case, self.server, self.bench = case, server, bench
        self.good, self.void = [], []

    def run(self, one_round):
        """A round, repeated while it is void and the time for repeating lasts."""
        while self.bench.has_time():
            found = one_round()
            good = found["busy"] >= BUSY_MIN
            (self.good if good else self.void).append(found)
            self.bench.say(f"{self.case} {self.server} {found['us']:.2f} µs, {found['busy']:.0%} "
                           f"busy, wrk {found['wrk_busy']:.0%}{'' if good else ': void'}")
            if good or self.server == "floor" or len(self.void) > VOIDS_MAX:
                return
            if self.bench.voids_left <= 0:
                return
            self.bench.voids_left -= 1

    def result(self):
        """Medians; of the void rounds when there is no other."""
        rounds = self.good or self.void
        if not rounds:
            return None
        keys = rounds[0].keys()
        found = {key: statistics.median(one[key] for one in rounds) for key in keys}
        found.update(min_us=min(one["us"] for one in rounds),
                     max_us=max(one["us"] for one in rounds),
                     rounds=len(self.good), void=len(self.void), valid=bool(self.good))
        return found


# ---- the benchmark ---------------------------------------------------------------------------


class Bench:
    def __init__(self, options):
        build = os.environ.get("NX_BUILD", os.path.join(os.path.dirname(__file__), "..", "build"))
        self.build = os.path.abspath(build)
        self.options = options
        self.rounds = 1 if options.quick else options.rounds
        self.seconds = 2 if options.quick else options.seconds
        self.deadline = time.monotonic() + TOTAL_S
        planned = (3 * len(self.cases()) + 2) * self.rounds * (self.seconds + ROUND_EXTRA_S)
        self.voids_left = max(0, int((TOTAL_S - planned) / (self.seconds + ROUND_EXTRA_S)))
        if options.quick:
            self.voids_left = 0
        self.nexus = os.environ.get("NEXUS_BIN", os.path.join(self.build, "nexus"))
        self.nginx = find_program("nginx", "nginx-light")
        self.wrk = find_program("wrk", "wrk")
        self.floor = self.make("bench_uv_llhttp")
        self.store_bench = self.make("store_bench")
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            raise Fault("this needs two cores: one for the server, one for wrk")
        self.server_core, self.load_core = cores[0], cores[1]
        self.folder = tempfile.mkdtemp(prefix="nexus-bench-", dir=options.dir)
        os.chmod(self.folder, 0o711)  # nginx's worker, another user, passes through

    def say(self, text):
        if not self.options.quiet:
            print(text, file=sys.stderr, flush=True)

    def has_time(self):
        return time.monotonic() + self.seconds + ROUND_EXTRA_S < self.deadline

    def make(self, name):
        """Builds what meson builds only when asked."""
        made = subprocess.run(["ninja", "-C", self.build, f"bench/{name}"], capture_output=True,
                              text=True, timeout=120, check=False)
        if made.returncode != 0:
            raise Fault(f"cannot build {name}: {made.stdout[-300:]}")
        return os.path.join(self.build, "bench", name)

    def cases(self):
        return [case for case in TITLES if not self.options.case or case in self.options.case]

    def probe(self):
        wanted = {}
        nexus = Nexus(self)
        try:
            client = Client(nexus.port)
            for case in self.cases():
                requests = prepare(case, client)
                wanted[case] = (*measure_answer(case, client, requests), requests[0])
            client.close()
        finally:
            nexus.close()
        return wanted

    def nexus_round(self, case):
        nexus = Nexus(self)
        try:
            client = Client(nexus.port)
            script = os.path.join(self.folder, "nexus.lua")
            write_script(script, prepare(case, client))
            client.close()
            return measure(self, nexus.pid, nexus.port, script, CONNECTIONS)
        finally:
            nexus.close()

    def run_case(self, case, nginx, wanted):
        """nginx and the floor get one of nexus's requests again and again: whose session it is
        makes no difference to them."""
        script = os.path.join(self.folder, "fixed.lua")
        write_fixed_script(script, wanted[3])
        floor = Floor(self, wanted[1] + wanted[2])
        rounds = {
            "nexus": lambda: self.nexus_round(case),
            "nginx": lambda: measure(self, nginx.pid, nginx.ports[case], script, CONNECTIONS),
            "floor": lambda: measure(self, floor.pid, floor.port, script, CONNECTIONS),
        }
        series = {server: Series(case, server, self) for server in rounds}
        try:
            for _ in range(self.rounds):
                for server, one_round in rounds.items():
                    series[server].run(one_round)
        finally:
            floor.close()
        found = {server: one.result() for server, one in series.items()}
        if not all(found.values()):
            return None
        found["bytes"] = len(wanted[1]) + len(wanted[2])
        found["ratio"] = found["nexus"]["us"] / found["nginx"]["us"]
        found["goal"] = GOALS[case]
        return found

    def create_round(self, script):
        nexus = Nexus(self)
        try:
            return measure(self, nexus.pid, nexus.port, script, CREATE_CONNECTIONS)
        finally:
            nexus.close()

    def run_creates(self):
        script = os.path.join(self.folder, "create.lua")
        write_fixed_script(script, request("PUT", "/v1/sessions", "agent-a", CREATE_BODY))
        rounds, store = [], []
        for _ in range(self.rounds):
            if not self.has_time():
                break
            rounds.append(self.create_round(script))
            store += self.store_round(0.2)
            self.say(f"create {rounds[-1]['per_s']:.0f}/s")
        if not rounds:
            return None
        found = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
        found["min_per_s"] = min(one["per_s"] for one in rounds)
        found["max_per_s"] = max(one["per_s"] for one in rounds)
        found["rounds"] = len(rounds)
        found["goal"] = CREATES_GOAL
        found["store_per_s"] = statistics.median(units for units, _ in store)
        found["fdatasync_per_s"] = statistics.median(raw for _, raw in store)
        return found

    def store_round(self, seconds):
        """[(records/s with 64 outstanding, bare write+fdatasync/s)], on any core."""
        folder = tempfile.mkdtemp(prefix="store-", dir=self.folder)
        done = subprocess.run([self.store_bench, folder, str(seconds)], capture_output=True,
                              text=True, timeout=60, check=False)
        shutil.rmtree(folder, ignore_errors=True)
        found = re.findall(r"outstanding 64: +(\d+) units/s.*fdatasync +(\d+)/s", done.stdout)
        if done.returncode != 0 or not found:
            raise Fault(f"store_bench failed: {done.stderr.strip()[-300:]}")
        return [(int(units), int(raw)) for units, raw in found]

    def run(self):
        found = {"machine": self.machine(), "cases": {}, "creates": None, "left_out": []}
        if self.cases():
            wanted = self.probe()
            nginx = start_nginx(self, wanted)
            try:
                for case in self.cases():
                    result = self.run_case(case, nginx, wanted[case])
                    if result:
                        found["cases"][case] = result
                    else:
                        found["left_out"].append(case)
            finally:
                nginx.close()
        if not self.options.case or "create" in self.options.case:
            found["creates"] = self.run_creates()
            if not found["creates"]:
                found["left_out"].append("create")
        found["machine"]["load_after"] = os.getloadavg()[0]
        return found

    def machine(self):
        model = "unknown"
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    model = line.partition(":")[2].strip()
                    break
        version = subprocess.run([self.nginx, "-v"], capture_output=True, text=True, check=False)
        return {
            "cpu": model,
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "nginx": version.stderr.strip().rpartition("/")[2],
            "congestion": congestion_control(),
            "data_on": filesystem_of(self.folder),
            "seconds": self.seconds,
            "load_before": os.getloadavg()[0],
        }

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def find_program(name, package):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    found = shutil.which(name, path=path)
    if not found:
        raise Fault(f"{name} is not installed (Debian: apt-get install {package})")
    return found


def congestion_control():
    """Part of the kernel's cost of a write, and not the same on every machine."""
    try:
        with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def filesystem_of(folder):
    best, kind = "", "unknown"
    with open("/proc/self/mounts", encoding="utf-8") as file:
        for line in file:
            _, mount, this_kind = line.split()[:3]
            inside = os.path.realpath(folder).startswith(mount.rstrip("/") + "/")
            if inside and len(mount) >= len(best):
                best, kind = mount, this_kind
    return kind


# ---- the report ------------------------------------------------------------------------------


def judged(reached, valid):
    if not valid:
        return "void"
    return "reached" if reached else "missed"


def print_case_table(cases):
    print("| case | server | CPU µs a request (min–max) | user + system | × nginx | goal | busy "
          "| requests/s | rounds (void) |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case, found in cases.items():
        for server in ("nexus", "nginx", "floor"):
            one = found[server]
            ratio = one["us"] / found["nginx"]["us"]
            goal = ""
            if server == "nexus":
                valid = one["valid"] and found["nginx"]["valid"]
                goal = f"≤ {found['goal']:.2f}: {judged(ratio <= found['goal'], valid)}"
            title = f"{TITLES[case]}, {found['bytes']} bytes" if server == "nexus" else ""
            print(f"| {title} | {server} "
                  f"| {one['us']:.2f} ({one['min_us']:.2f}–{one['max_us']:.2f}) "
                  f"| {one['user_us']:.2f} + {one['system_us']:.2f} | {ratio:.2f} | {goal} "
                  f"| {one['busy']:.0%} | {one['per_s']:.0f} | {one['rounds']} ({one['void']}) |")


def print_creates(found):
    goal = judged(found["per_s"] >= found["goal"], True)
    print("| durable creates/s, 64 connections (min–max) | goal | CPU µs | busy | median, 99 % ms "
          "| store alone, 64 outstanding, records/s | write + fdatasync/s |")
    print("|---|---|---|---|---|---|---|")
    print(f"| {found['per_s']:.0f} ({found['min_per_s']:.0f}–{found['max_per_s']:.0f}) "
          f"| ≥ {found['goal']}: {goal} | {found['us']:.1f} | {found['busy']:.0%} "
          f"| {found['p50_us'] / 1000:.2f}, {found['p99_us'] / 1000:.2f} "
          f"| {found['store_per_s']:.0f} | {found['fdatasync_per_s']:.0f} |")


def print_report(found):
    machine = found["machine"]
    print(f"{machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, "
          f"TCP {machine['congestion']}, nginx {machine['nginx']}, data on {machine['data_on']}; "
          f"rounds of {machine['seconds']} s; load average {machine['load_before']:.2f} before, "
          f"{machine['load_after']:.2f} after")
    if found["cases"]:
        print()
        print_case_table(found["cases"])
    if found["creates"]:
        print()
        print_creates(found["creates"])
    if found["left_out"]:
        print(f"\nNo time was left for: {', '.join(found['left_out'])}.")
    weak = [f"{case} {server}" for case, one in found["cases"].items()
            for server in ("nexus", "nginx") if not one[server]["valid"]]
    if weak:
        print(f"\nThe server was never {BUSY_MIN:.0%} busy in: {', '.join(weak)}. Those figures "
              "are of void rounds and prove nothing: the machine has other work, or wrk is the "
              "limit (busy itself, in the lines of the rounds).")
    if machine["data_on"] == "tmpfs":
        print("\nThe data folder is in memory: the creates are not durable here. Use --dir.")


def read_options():
    parser = argparse.ArgumentParser(prog="script/bench session", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of 2 s, to try it")
    parser.add_argument("--json", action="store_true", help="a line of JSON after the tables")
    parser.add_argument("--quiet", action="store_true", help="no line a round on stderr")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each server (5)")
    parser.add_argument("--seconds", type=int, default=2, help="length of a round (2)")
    parser.add_argument("--dir", help="where the scratch folder is made; a disk, not memory")
    parser.add_argument("--case", action="append", choices=[*TITLES, "create"],
                        help="only this case; may be given again")
    options = parser.parse_args()
    if not 1 <= options.rounds <= 50 or not 1 <= options.seconds <= 60:
        parser.error("--rounds is 1 to 50, --seconds 1 to 60")
    return options


def on_signal(number, _frame):
    raise SystemExit(128 + number)


def main():
    options = read_options()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, on_signal)
    signal.alarm(math.ceil(TOTAL_S + 8))
    bench = None
    try:
        bench = Bench(options)
        found = bench.run()
    except (Fault, OSError, subprocess.SubprocessError) as error:
        print(f"bench session: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if bench:
            bench.close()
    print_report(found)
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
