"""A small, strict session messaging service for tests of clients.

It answers as the wire description says, for generation 1, 2 or both, keeps every request it saw, and
notes in `violations` what no well-behaved client sends. Modes make it ill: HTML in place of JSON,
status 500, slow, silent, an endless answer. It listens on a free loopback port.
"""

import itertools
import json
import re
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ID = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


class Refused(Exception):
    def __init__(self, status, error, message=""):
        super().__init__(error)
        self.status, self.error, self.message = status, error, message or error


class Session:
    def __init__(self, ttl, seats, creator, greeting):
        self.id = secrets.token_hex(24)
        self.ttl, self.seats, self.creator, self.greeting = ttl, seats, creator, greeting
        self.members = {}  # agent -> key
        self.messages = []
        self.cursor = 0
        if greeting is not None:
            self.add("system", greeting, cursor=0)

    def add(self, agent, text, json_value=None, has_json=False, cursor=None, verified=False):
        if cursor is None:
            self.cursor += 1
            cursor = self.cursor
        message = {"id": secrets.token_hex(8), "agentId": agent, "from": agent, "text": text,
                   "cursor": str(cursor), "verified": verified,
                   "createdAt": "2026-01-01T00:00:00.000Z"}
        if has_json:
            message["json"] = json_value
        self.messages.append(message)
        return message


class Mock:
    """with Mock(generations=(1, 2)) as mock: mock.url"""

    def __init__(self, generations=(1, 2), mode="ok", accepts_json=True, router_404="json"):
        self.generations, self.mode, self.accepts_json = set(generations), mode, accepts_json
        self.router_404 = router_404
        self.sessions, self.codes = {}, {}
        self.requests, self.violations = [], []
        self.override = None  # (method, path) -> (status, content type, body) or None
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.numbers = itertools.count(1)

    def __enter__(self):
        mock = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                mock.handle(self)

            do_GET = do_PUT = do_POST = do_DELETE = do

            def log_message(self, *args):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.port = self.httpd.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join(5)

    def paths(self):
        return [f"{r['method']} {r['path']}" for r in self.requests]

    # ---- HTTP ----

    def handle(self, handler):
        length = int(handler.headers.get("Content-Length") or 0)
        body = handler.rfile.read(length)
        request = {"method": handler.command, "path": handler.path, "body": body,
                   "headers": {k.lower(): v for k, v in handler.headers.items()}}
        with self.lock:
            self.requests.append(request)
        if body and not request["headers"].get("content-type", "").startswith("application/json"):
            self.violations.append(("no content type", request["path"]))
        if "expect" in request["headers"]:
            self.violations.append(("expect", request["path"]))
        if self.mode == "slow":
            self.stopping.wait(8)
        if self.mode == "hang-up":
            handler.close_connection = True
            return
        if self.mode == "endless":
            self.endless(handler)
            return
        self.write(handler, *self.answer(request))

    def endless(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        block = b" " * (1 << 20)
        try:
            for _ in range(200):
                if self.stopping.is_set():
                    break
                handler.wfile.write(block)
        except OSError:
            pass
        handler.close_connection = True

    @staticmethod
    def write(handler, status, kind, body, extra=()):
        try:
            handler.send_response(status)
            if kind:
                handler.send_header("Content-Type", kind)
            for name, value in extra:
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass

    def answer(self, request):
        if self.override:
            answer = self.override(request["method"], request["path"])
            if answer:
                return answer
        if self.mode == "html":
            return 200, "text/html", b"<html>sign in first</html>"
        if self.mode == "500":
            return 500, "application/json", b'{"error":"internal_error","message":"oops"}'
        if self.mode == "502":
            return 502, "text/html", b"<html>bad gateway</html>"
        with self.lock:
            try:
                status, answer = self.route(request)
            except Refused as refused:
                status = refused.status
                answer = {"error": refused.error, "message": refused.message}
                if refused.error == "not_found" and self.router_404 == "html":
                    return 404, "text/html", b"<pre>Cannot find that</pre>"
        return status, "application/json", json.dumps(answer).encode()

    # ---- the service ----

    def route(self, request):
        path, _, query = request["path"].partition("?")
        parts = path.strip("/").split("/")
        method = request["method"]
        if path == "/health":
            formats = ["text", "json"] if self.accepts_json else ["text"]
            return 200, {"status": "ok", "version": "mock", "uptime": 7,
                         "capabilities": {"messageFormat": formats}}
        if path == "/v1/stats":
            return 200, {"activeSessions": len(self.sessions), "totalAgents": 0,
                         "totalMessages": 0, "uptime": 7}
        if parts[:2] == ["v1", "pair"]:
            return self.pair(method, parts[2:], request)
        if parts[0] == "v1" and len(parts) > 1 and parts[1] in ("session", "sessions"):
            generation = 1 if parts[1] == "session" else 2
            if generation in self.generations:
                return self.session(generation, method, parts[2:], query, request)
        raise Refused(404, "not_found")

    @staticmethod
    def object(request):
        if not request["body"]:
            return {}
        try:
            value = json.loads(request["body"])
        except ValueError as error:
            raise Refused(400, "invalid_body", str(error))
        if not isinstance(value, dict):
            raise Refused(400, "invalid_request")
        return value

    @staticmethod
    def agent(request):
        agent = request["headers"].get("x-agent-id")
        if agent is None or not ID.match(agent) or agent == "system":
            raise Refused(400, "missing_agent_id")
        return agent

    def find(self, session_id):
        if session_id not in self.sessions:
            raise Refused(404, "session_not_found")
        return self.sessions[session_id]

    def seat(self, generation, session, agent, key=None):
        if agent in session.members:
            if generation == 1 and key is None:
                return None
            if key == session.members[agent]:
                return key
            raise Refused(409, "agent_id_taken")
        if len(session.members) >= session.seats:
            raise Refused(409, "session_full")
        session.members[agent] = secrets.token_hex(32)
        if len(session.members) == 2:
            session.add("system", "This is an async conversation. Set up a cron job (every 3-5 "
                                  "minutes), with your human's permission.")
        return session.members[agent] if generation == 2 else None

    def session(self, generation, method, parts, query, request):
        if not parts:
            if method != "PUT":
                raise Refused(405, "method_not_allowed")
            return self.create(generation, self.object(request))
        session = self.find(parts[0])
        rest = parts[1:]
        if not rest and method == "GET":
            agents = list(session.members)
            return 200, {"sessionId": session.id, "state": "active", "agents": agents,
                         "ttl": session.ttl, "maxAgents": session.seats,
                         "members": [{"agentId": a, "joinedAt": "x", "lastSeenAt": "y"}
                                     for a in agents]}
        if rest == ["join"] and method == "POST":
            key = self.seat(generation, session, self.agent(request),
                            request["headers"].get("x-session-key"))
            answer = {"status": "joined", "sessionId": session.id,
                      "agentsOnline": len(session.members)}
            if key:
                answer["sessionKey"] = key
            return 200, answer
        if rest == ["messages"] and method == "POST":
            return self.send(generation, session, request)
        if rest == ["messages"] and method == "GET":
            return self.poll(session, query, request)
        if generation == 2 and rest == ["renew"] and method == "POST":
            agent = self.agent(request)
            if agent not in session.members:
                raise Refused(403, "agent_not_in_session")
            session.ttl = self.object(request).get("ttl", session.ttl)
            return 200, {"sessionId": session.id, "state": "active", "ttl": session.ttl,
                         "agents": list(session.members)}
        if generation == 2 and len(rest) == 2 and rest[0] == "agents" and method == "DELETE":
            return self.leave(session, rest[1], request)
        raise Refused(404, "not_found")

    def create(self, generation, body):
        ttl = body.get("ttl", 3660)
        if not isinstance(ttl, int) or not 1 <= ttl <= 86400:
            raise Refused(400, "invalid_request", "ttl")
        seats = body.get("maxAgents", 2 if generation == 1 else 50)
        creator = body.get("creatorAgentId") if generation == 2 else None
        session = Session(ttl, seats, creator, body.get("greeting"))
        self.sessions[session.id] = session
        answer = {"sessionId": session.id, "ttl": ttl, "maxAgents": seats, "state": "active"}
        if creator:
            answer["creatorAgentId"] = creator
            answer["sessionKey"] = self.seat(2, session, creator)
        return 201, answer

    def send(self, generation, session, request):
        agent = self.agent(request)
        body = self.object(request)
        if not isinstance(body.get("text", ""), str) or not ("text" in body or "json" in body):
            raise Refused(400, "invalid_request")
        if agent not in session.members:
            raise Refused(403, "forbidden")
        key = request["headers"].get("x-session-key")
        verified = key is not None and key == session.members[agent]
        if key is not None and not verified and generation == 2:
            raise Refused(403, "invalid_session_key")
        message = session.add(agent, body.get("text", ""), body.get("json"), "json" in body,
                              verified=verified)
        return 201, {"ok": True, "id": message["id"], "messageId": message["id"],
                     "cursor": message["cursor"], "expiresAt": "z"}

    def poll(self, session, query, request):
        agent = self.agent(request)
        if agent not in session.members:
            raise Refused(403, "agent_not_in_session")
        after, members = None, False
        for word in filter(None, query.split("&")):
            if word.startswith("after="):
                after = int(word[6:])
            elif word == "members=true":
                members = True
            else:
                self.violations.append(("query", query))
        found = [m for m in session.messages if after is None or int(m["cursor"]) > after]
        answer = {"messages": found,
                  "nextCursor": found[-1]["cursor"] if found else str(after or 0)}
        if members:
            answer["members"] = [{"agentId": a, "lastSeenAt": "y"} for a in session.members]
        return 200, answer

    def leave(self, session, target, request):
        agent = self.agent(request)
        key = request["headers"].get("x-session-key")
        if target != agent:
            raise Refused(403, "forbidden")
        if key is None:
            raise Refused(401, "missing_session_key")
        if target not in session.members:
            raise Refused(404, "agent_not_found")
        if key != session.members[target]:
            raise Refused(401, "invalid_session_key")
        if target == session.creator:
            raise Refused(403, "forbidden")
        del session.members[target]
        return 200, {"ok": True, "sessionId": session.id, "agentId": target, "message": "left",
                     "status": "removed"}

    def pair(self, method, parts, request):
        if not parts and method == "PUT":
            session = self.find(self.object(request).get("sessionId"))
            code = f"PEARL-FOCAL-{next(self.numbers):05d}"
            self.codes[code] = {"session": session.id, "claimed": False}
            return 201, {"code": code, "url": f"{self.url}/p/{code}", "expiresAt": "z"}
        if len(parts) != 2:
            raise Refused(404, "not_found")
        code = self.codes.get(parts[0].upper())
        if not code:
            raise Refused(404, "code_not_found")
        if parts[1] == "status" and method == "GET":
            return 200, {"state": "claimed" if code["claimed"] else "pending"}
        if parts[1] == "claim" and method == "POST":
            agent = self.agent(request)
            if code["claimed"]:
                raise Refused(404, "code_expired_or_used")
            key = self.seat(2, self.find(code["session"]), agent)
            code["claimed"] = True
            return 200, {"sessionId": code["session"], "status": "claimed", "sessionKey": key}
        raise Refused(404, "not_found")


if __name__ == "__main__":
    with Mock() as server:
        print(server.url, flush=True)
        while True:
            time.sleep(3600)
