"""The servers that bench/session.py and bench/session-instructions.py load, and their requests:
nexus serve, nginx with a fixed answer as long as nexus's, and bench/uv_llhttp.c. Not a benchmark
itself."""

import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

SESSIONS = 64
TEXT = "A plain text of one hundred bytes, as long as what one agent tells another in a sentence. "
TEXT = TEXT.ljust(100, ".")
CREATE_BODY = b'{"ttl":3660,"creatorAgentId":"agent-a"}'
NGINX_TOKEN_MAX = 4000  # nginx reads a word of its configuration into 4096 bytes
TICK = os.sysconf("SC_CLK_TCK")


class Fault(Exception):
    """What stops the benchmark, in words for a person."""


# ---- processes -------------------------------------------------------------------------------


def child_setup(core):
    """For the child, before exec: its core, and it ends when we do, however we end."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def setup():
        os.sched_setaffinity(0, {core})
        # PR_SET_PDEATHSIG, and not SIGKILL: nginx's master has a worker to end.
        libc.prctl(1, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return setup


def clean_environment(home):
    """No setting of the caller reaches nexus."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": home, "LC_ALL": "C"}


def end(process, number=signal.SIGTERM, patience_s=5):
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third on."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def cpu_s(pid):
    """(user, system) seconds of all threads of a process."""
    fields = stat_fields(pid)
    return int(fields[11]) / TICK, int(fields[12]) / TICK


class Nexus:
    """nexus serve on a fresh data folder."""

    name = "nexus"

    def __init__(self, bench):
        self.home = tempfile.mkdtemp(prefix="nexus-", dir=bench.folder)
        self.errors = os.path.join(self.home, "stderr")
        command = [bench.nexus, "serve", "--listen", "127.0.0.1:0", "--rate-limit", "0"]
        command += ["--data-dir", os.path.join(self.home, "data"), "--loops", "1"]
        command += ["--no-log-requests", "--max-sessions", "4000000"]
        command += ["--max-session-bytes", str(1 << 30), "--max-memory", str(8 << 30)]
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=self.home,
                env=clean_environment(self.home), preexec_fn=child_setup(bench.server_core))
        self.pid = self.process.pid
        try:
            self.port = self.wait_ready()
        except BaseException:
            self.close()
            raise

    def wait_ready(self):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            with open(self.errors, encoding="utf-8", errors="replace") as file:
                found = re.search(r"http://127\.0\.0\.1:(\d+)", file.read())
            if found:
                return int(found[1])
            time.sleep(0.01)
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            raise Fault(f"nexus did not start: {file.read().strip() or 'no word in 10 s'}")

    def close(self):
        end(self.process)
        shutil.rmtree(self.home, ignore_errors=True)


class Floor:
    """bench/uv_llhttp.c with the bytes nexus answered."""

    name = "floor"

    def __init__(self, bench, raw):
        path = os.path.join(bench.folder, "floor-answer")
        with open(path, "wb") as file:
            file.write(raw)
        self.process = subprocess.Popen(
            [bench.floor, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            preexec_fn=child_setup(bench.server_core))
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        if not line.strip().isdigit():
            self.close()
            raise Fault("bench_uv_llhttp did not start")
        self.port = int(line)

    def close(self):
        end(self.process)
        self.process.stdout.close()


class Nginx:
    """One worker with a fixed answer a port."""

    name = "nginx"

    def __init__(self, bench, answers):
        """answers: {case: (status, body, pad bytes or 0)}"""
        self.folder = tempfile.mkdtemp(prefix="nginx-", dir=bench.folder)
        for _ in range(5):  # a port found free may be taken before nginx has it
            self.ports = dict(zip(answers, free_ports(len(answers))))
            path = os.path.join(self.folder, "nginx.conf")
            with open(path, "w", encoding="ascii") as file:
                file.write(self.configuration(answers))
            errors = os.path.join(self.folder, "error.log")
            self.process = subprocess.Popen(
                [bench.nginx, "-p", self.folder, "-e", errors, "-c", path],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                preexec_fn=child_setup(bench.server_core))
            self.pid = self.wait_worker()
            if self.pid:
                self.started = stat_fields(self.pid)[19]
                return
            end(self.process)
        with open(errors, encoding="utf-8", errors="replace") as file:
            raise Fault(f"nginx did not start: {file.read().strip()}")

    def wait_worker(self):
        deadline = time.monotonic() + 5
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with open(children, encoding="ascii") as file:
                    pids = file.read().split()
                socket.create_connection(("127.0.0.1", min(self.ports.values())), 1).close()
            except OSError:
                pids = []
            if len(pids) == 1:
                return int(pids[0])
            time.sleep(0.01)
        return 0

    def configuration(self, answers):
        folder = self.folder
        user = "user nobody nogroup;\n" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
        text = user + (
            f"daemon off;\nworker_processes 1;\npid {folder}/pid;\n"
            "events { worker_connections 1024; use epoll; }\n"
            "http {\naccess_log off; server_tokens off;\n"
            "default_type application/json;\n"
            "keepalive_requests 1000000000; keepalive_timeout 600s;\n")
        text += "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        for case, (status, body, pad) in answers.items():
            header = f"add_header X-Pad '{'p' * pad}' always; " if pad else ""
            text += (f"server {{ listen 127.0.0.1:{self.ports[case]}; location / {{ {header}"
                     f"return {status} '{body}'; }} }}\n")
        return text + "}\n"

    def close(self):
        end(self.process)
        try:  # the worker, when its master did not end it: the same process, not only its number
            if stat_fields(self.pid)[19] == self.started:
                os.kill(self.pid, signal.SIGKILL)
        except (OSError, IndexError):
            pass


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


# ---- requests --------------------------------------------------------------------------------


class Client:
    """One kept-alive connection that keeps the bytes as they came."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Fault("the server closed the connection")
        self.unread += data

    def ask(self, raw):
        """Returns (status, head with its empty line, body)."""
        self.socket.sendall(raw)
        while b"\r\n\r\n" not in self.unread:
            self.receive()
        at = self.unread.index(b"\r\n\r\n") + 4
        head = self.unread[:at]
        length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
        while len(self.unread) < at + length:
            self.receive()
        body = self.unread[at:at + length]
        self.unread = self.unread[at + length:]
        return int(head[9:12]), head, body

    def json(self, method, path, agent, body=None, key=None):
        status, _, answer = self.ask(request(method, path, agent, body, key))
        if status not in (200, 201):
            raise Fault(f"{method} was answered {status}: {answer[:200]!r}")
        return json.loads(answer)

    def close(self):
        self.socket.close()


def request(method, path, agent, body=None, key=None):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"X-Agent-Id: {agent}"]
    if key:
        lines.append(f"X-Session-Key: {key}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + (body or b"")


def send_body():
    return json.dumps({"text": TEXT}).encode()


def make_session(client):
    """Two agents in a new session: (path, key of the second, last cursor)."""
    made = client.json("PUT", "/v1/sessions", "agent-a", CREATE_BODY)
    path = f"/v1/sessions/{made['sessionId']}"
    key = client.json("POST", path + "/join", "agent-b")["sessionKey"]
    last = client.json("GET", path + "/messages", "agent-a")["nextCursor"]
    return path, key, last


def prepare(case, client):
    """Makes the sessions of a case in a fresh server; returns the requests wrk repeats."""
    requests = []
    for _ in range(SESSIONS):
        path, key, last = make_session(client)
        if case == "poll-10":
            for _ in range(10):
                client.json("POST", path + "/messages", "agent-b", send_body(), key)
        if case == "send":
            requests.append(request("POST", path + "/messages", "agent-b", send_body(), key))
        else:
            requests.append(request("GET", f"{path}/messages?after={last}", "agent-a"))
    return requests


def measure_answer(case, client, requests):
    """What nexus answers: (status, head, body), and that each session answers alike."""
    if case == "send":  # the cursor grows: take the length it has for most of the run
        for _ in range(999):
            client.ask(requests[0])
        requests = requests[:1]
    answers = [client.ask(raw) for raw in requests]
    status, head, body = answers[0]
    expected = 201 if case == "send" else 200
    if any(answer[0] != expected for answer in answers):
        raise Fault(f"{case}: nexus answered {status}: {body[:200]!r}")
    if len({len(one[1]) + len(one[2]) for one in answers}) != 1:
        raise Fault(f"{case}: the sessions do not answer with one length")
    if case != "send":
        count = len(json.loads(body)["messages"])
        if count != (10 if case == "poll-10" else 0):
            raise Fault(f"{case}: {count} messages in the answer")
    return status, head, body


def nginx_body(body, change):
    """As many bytes, but for `change`, that nginx's configuration can hold in single quotes."""
    text = re.sub(r"[^ !-&(-\[\]-~]|\$", "x", body.decode("ascii", "replace"))
    text = text + "x" * change if change >= 0 else text[:change]
    if not 0 < len(text) <= NGINX_TOKEN_MAX:
        raise Fault(f"an answer of {len(text)} bytes does not fit nginx's configuration")
    return text


def start_nginx(bench, wanted):
    """nginx with answers as long on the wire as nexus's; 
    wanted: {case: (status, head, body, request)}."""
    plain = {case: (one[0], nginx_body(one[2], 0), 0) for case, one in wanted.items()}
    nginx = Nginx(bench, plain)
    try:
        lengths = {case: wire_length(nginx.ports[case]) for case in wanted}
    finally:
        nginx.close()
    answers = {}
    for case, (status, head, body, _) in wanted.items():
        missing = len(head) + len(body) - lengths[case]
        pad = missing - len("X-Pad: \r\n")
        answers[case] = (status, nginx_body(body, 0 if pad > 0 else missing), max(pad, 0))
    nginx = Nginx(bench, answers)
    for case, (_, head, body, _) in wanted.items():
        if wire_length(nginx.ports[case]) != len(head) + len(body):
            nginx.close()
            raise Fault(f"{case}: nginx's answer could not be made as long as nexus's")
    return nginx


def wire_length(port):
    client = Client(port)
    try:
        _, head, body = client.ask(request("GET", "/", "agent-a"))
    finally:
        client.close()
    return len(head) + len(body)
