"""What the end-to-end tests of the session service share: a server on a free port with a
temporary data folder, HTTP in words (Api) and in raw bytes, and the rules that hold for every
answer (docs: wire, section 3). Everything has a deadline. Python 3.11 standard library only.

NEXUS_BIN names the command, build/nexus when it is not set.
"""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NEXUS = os.path.abspath(os.environ.get("NEXUS_BIN", os.path.join(ROOT, "build", "nexus")))
TIMEOUT_S = float(os.environ.get("NEXUS_TEST_TIMEOUT_S", "15"))
SETTINGS = re.compile(
    r"NEXUS_|XDG_|(PORT|DATA_DIR|MAX_TTL_SECONDS|MAX_AGENTS|AGENT_INACTIVITY_SECONDS)$")
SANITIZER = re.compile(rb"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:")


def sanitized():
    """True when the command is built with a sanitizer: memory figures mean nothing then."""
    with open(NEXUS, "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


class Server:
    """One `nexus serve`; use as a context manager. `output()` is all it ever printed."""

    def __init__(self, *args, data_dir=None, rate_limit=0, env=None, listen="127.0.0.1:0"):
        self.home = tempfile.mkdtemp(prefix="nexus-e2e-")
        self.data_dir = data_dir or os.path.join(self.home, "data")
        self.args = ["serve"]
        if listen is not None:
            self.args += ["--listen", listen]
        if data_dir is not False:
            self.args += ["--data-dir", self.data_dir]
        if rate_limit is not None:
            self.args += ["--rate-limit", str(rate_limit)]
        self.args += [str(arg) for arg in args]
        ours = {name: value for name, value in os.environ.items() if not SETTINGS.match(name)}
        self.env = dict(ours, HOME=self.home, **(env or {}))
        self.log = open(os.path.join(self.home, "output"), "w+b", buffering=0)
        self.process = None
        self.url = self.port = None

    def spawn(self):
        """Starts the process and returns at once."""
        self.process = subprocess.Popen([NEXUS] + self.args, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log, env=self.env)
        return self

    def start(self):
        """Starts and waits for the line that names the address."""
        seen = len(self.output())
        self.spawn()
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            found = re.search(rb"http://127\.0\.0\.1:(\d+)\b", self.output()[seen:])
            if found:
                self.port = int(found.group(1))
                self.url = "http://127.0.0.1:%d" % self.port
                return self
            if self.process.poll() is not None:
                raise AssertionError(
                    "the server ended with %s before it was ready:\n%s" %
                    (self.process.returncode, self.output().decode("utf-8", "replace")))
            time.sleep(0.005)
        self.kill()
        raise AssertionError("no ready line in %s s:\n%r" % (TIMEOUT_S, self.output()))

    def output(self):
        with open(self.log.name, "rb") as file:
            return file.read()

    def wait(self, timeout_s=TIMEOUT_S):
        """Waits for the end and returns the exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the server did not end in %s s" % timeout_s) from None

    def stop(self):
        """SIGTERM; an orderly end is exit code 0 and no word of a sanitizer."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            code = self.wait()
        else:
            code = self.process.returncode if self.process else 0
        output = self.output()
        if SANITIZER.search(output):
            raise AssertionError("sanitizer report:\n" + output.decode("utf-8", "replace")[-8000:])
        if code != 0:
            raise AssertionError("exit code %s\n%s" %
                                 (code, output.decode("utf-8", "replace")[-4000:]))

    def kill(self):
        """SIGKILL, as a crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(TIMEOUT_S)

    def remove(self):
        self.kill()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def rss_kib(self):
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.stop()
        finally:
            self.remove()


class Answer:

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json.get("error")

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:300])


def check_words(answer):
    """Clients look for these words in error texts: only where that is what happened."""
    text = answer.body.decode("utf-8", "replace").lower()
    code = json.loads(answer.body).get("error")
    rules = (("expired", code in ("code_expired_or_used", "session_not_found")),
             ("404", answer.status == 404), ("session not found", code == "session_not_found"))
    for word, allowed in rules:
        assert allowed or word not in text, "%r in a %s body: %r" % (word, answer.status, answer)
    assert code == "agent_not_found" or not ("agent" in text and "not found" in text), \
        "'agent' and 'not found' in a %s %s body: %r" % (answer.status, code, answer)


def check_error(answer):
    """The shape of every error."""
    assert answer.headers.get("Content-Type", "").startswith("application/json"), \
        "an error's content type: %r, %r" % (answer.headers.get("Content-Type"), answer)
    body = json.loads(answer.body)
    assert set(body) == {"error", "message", "details"}, "an error's keys: %r" % answer
    assert re.fullmatch(r"[a-z_]+", body["error"]), "an error's code: %r" % answer
    assert isinstance(body["message"], str) and body["message"], "an error's message: %r" % answer
    assert isinstance(body["details"], list), "an error's details: %r" % answer
    for detail in body["details"]:
        assert set(detail) == {"path", "message"} and isinstance(detail["path"], str) \
            and isinstance(detail["message"], str), "a detail: %r" % answer
    check_words(answer)


def check_answer(answer, method="GET"):
    """What holds for every answer of the service."""
    assert answer.headers.get("X-Request-Id"), "no X-Request-Id: %r" % answer
    if answer.status >= 400 and method != "HEAD":
        check_error(answer)
    if answer.status == 429:
        assert re.fullmatch(r"[1-9]\d*", answer.headers.get("Retry-After", "")), \
            "Retry-After: %r" % answer.headers.get("Retry-After")
    if answer.status == 405:
        assert answer.headers.get("Allow"), "405 without Allow: %r" % answer


class Http:
    """One keep-alive connection. Not for two threads at once."""

    def __init__(self, server, timeout_s=TIMEOUT_S):
        self.server, self.timeout_s = server, timeout_s
        self.connection = None
        self.answers = None  # a list, when somebody wants to keep them all

    def request(self, method, path, body=None, *, agent=None, key=None, headers=None, check=True):
        """body: bytes go as they are, anything else as JSON; None sends none. Content-Type is
        application/json where there is a body and `headers` does not say otherwise."""
        fields = {}
        if body is not None:
            fields["Content-Type"] = "application/json"
            if not isinstance(body, bytes):
                body = json.dumps(body).encode()
        if agent is not None:
            fields["X-Agent-Id"] = agent
        if key is not None:
            fields["X-Session-Key"] = key
        for name, value in (headers or {}).items():
            fields.pop(name, None)
            if value is not None:
                fields[name] = value
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port,
                                                         timeout=self.timeout_s)
        try:
            self.connection.request(method, path, body, fields)
            response = self.connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except BaseException:
            self.close()
            raise
        if self.answers is not None:
            self.answers.append((method, path, answer))
        if check:
            check_answer(answer, method)
        return answer

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Api(Http):
    """The service's requests by name, in generation 1's spelling or 2's."""

    def __init__(self, server, gen=2, timeout_s=TIMEOUT_S):
        super().__init__(server, timeout_s)
        self.gen = gen
        self.base = "/v1/session" if gen == 1 else "/v1/sessions"

    def create(self, **body):
        return self.request("PUT", self.base, body)

    def session(self, **body):
        """A new session's id."""
        answer = self.create(**body)
        assert answer.status == 201, answer
        return answer.json["sessionId"]

    def status(self, sid):
        return self.request("GET", "%s/%s" % (self.base, sid))

    def join(self, sid, agent, key=None):
        return self.request("POST", "%s/%s/join" % (self.base, sid), agent=agent, key=key)

    def joined(self, sid, agent):
        """Joins and returns the key."""
        answer = self.join(sid, agent)
        assert answer.status == 200, answer
        return answer.json["sessionKey"]

    def send(self, sid, agent, body, key=None):
        if isinstance(body, str):
            body = {"text": body}
        return self.request("POST", "%s/%s/messages" % (self.base, sid), body, agent=agent, key=key)

    def poll(self, sid, agent, after=None, query=None):
        query = query if query is not None else ("" if after is None else "?after=%s" % after)
        return self.request("GET", "%s/%s/messages%s" % (self.base, sid, query), agent=agent)

    def renew(self, sid, agent, body=None):
        return self.request("POST", "%s/%s/renew" % (self.base, sid), body, agent=agent)

    def leave(self, sid, agent, key=None, header=...):
        return self.request("DELETE", "%s/%s/agents/%s" % (self.base, sid, agent),
                            agent=agent if header is ... else header, key=key)

    def pair(self, sid):
        return self.request("PUT", "/v1/pair", {"sessionId": sid})

    def code(self, sid):
        answer = self.pair(sid)
        assert answer.status == 201, answer
        return answer.json["code"]

    def claim(self, code, agent, key=None):
        return self.request("POST", "/v1/pair/%s/claim" % code, agent=agent, key=key)

    def pair_status(self, code):
        return self.request("GET", "/v1/pair/%s/status" % code)


class Case(unittest.TestCase):
    """A test case with a server of its own for the class."""

    gen = 2
    server_args = ()
    server_options = {}

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.server_args, **cls.server_options)
        try:
            cls.server.start()
        except BaseException:
            cls.server.remove()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            cls.server.stop()
        finally:
            cls.server.remove()

    def setUp(self):
        self.api = Api(self.server, self.gen)
        self.addCleanup(self.api.close)

    def expect(self, answer, status, error=None):
        """Checks status and error code, and returns the body."""
        self.assertEqual(
            (answer.status, answer.json.get("error") if answer.status >= 400 else None),
            (status, error), repr(answer))
        return answer.json

    def keys(self, mapping, wanted):
        self.assertEqual(set(mapping), set(wanted.split()), mapping)


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def seconds(text):
    """An RFC 3339 time in UTC with milliseconds, as seconds since 1970."""
    assert isinstance(
        text, str) and TIME.fullmatch(text), "not a time as the service writes it: %r" % (text, )
    import calendar
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + int(text[20:23]) / 1000


def connect(server, timeout_s=TIMEOUT_S):
    sock = socket.create_connection(("127.0.0.1", server.port), timeout_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_all(sock, timeout_s=TIMEOUT_S):
    """Reads until the peer closes. Returns (bytes, closed)."""
    end, data = time.monotonic() + timeout_s, b""
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return data, False
        sock.settimeout(left)
        try:
            piece = sock.recv(65536)
        except TimeoutError:
            return data, False
        except ConnectionError:
            return data, True
        if not piece:
            return data, True
        data += piece


def read_answer(sock, data=b"", timeout_s=TIMEOUT_S, head_only=False):
    """Reads one answer. Returns (Answer or None when the peer closed or was silent, rest, closed)."""
    end, closed = time.monotonic() + timeout_s, False
    while True:
        answer, rest = take_answer(data, head_only)
        if answer is not None or closed:
            return answer, rest, closed
        left = end - time.monotonic()
        if left <= 0:
            return None, data, False
        sock.settimeout(left)
        try:
            piece = sock.recv(65536)
        except TimeoutError:
            return None, data, False
        except ConnectionError:
            piece = b""
        closed = not piece
        data += piece


def take_answer(data, head_only=False):
    """Splits the first whole answer off. Returns (Answer or None, rest)."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return None, data
    lines = head.split(b"\r\n")
    found = re.fullmatch(rb"HTTP/1\.[01] (\d\d\d) [^\r\n]*", lines[0])
    assert found, "no status line: %r" % data[:200]
    headers = http.client.HTTPMessage()
    for line in lines[1:]:
        name, mark, value = line.partition(b":")
        assert mark and re.fullmatch(rb"[!-9;-~]+", name), "a header line: %r" % line
        headers[name.decode()] = value.strip().decode("latin-1")
    status = int(found.group(1))
    length = 0 if head_only or status < 200 or status in (204,
                                                          304) else headers.get("Content-Length")
    assert length is not None, "an answer without Content-Length: %r" % data[:300]
    length = int(length)
    if len(rest) < length:
        return None, data
    return Answer(status, headers, rest[:length]), rest[length:]


def take_answers(data):
    """All the whole answers in data, and what is left."""
    answers = []
    while True:
        answer, data = take_answer(data)
        if answer is None:
            return answers, data
        answers.append(answer)


def parallel(jobs, timeout_s=60):
    """Runs callables at once, each in a thread, started together. Returns their results; the
    first exception is raised here."""
    barrier = threading.Barrier(len(jobs))
    results, faults = [None] * len(jobs), []

    def run(index, job):
        try:
            barrier.wait(timeout_s)
            results[index] = job()
        except BaseException as fault:  # pylint: disable=broad-except
            faults.append(fault)

    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    if faults:
        raise faults[0]
    assert not any(thread.is_alive() for thread in threads), "not done in %s s" % timeout_s
    return results


def main():
    unittest.main(module="__main__", verbosity=1)
