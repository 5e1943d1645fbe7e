"""A mixed load on one `nexus serve` and an exact memory of what its answers promised, with
CLOCK_MONOTONIC times: when each request was begun and when the last byte of its answer was read. So
for any moment it can be told what must be on disk, what may be, and what cannot (power_loss.py).

Every agent, code and time to live is changed by one worker at a time, so each has one history; many
workers share the sessions, so that commits carry changes of several."""
import http.client
import random
import threading
import time

from lib import Api

LOST = (OSError, http.client.HTTPException)


class Op:
    """One request: what it does, when it was begun, when it was acknowledged (None: never)."""

    def __init__(self, what):
        self.what, self.sent, self.acked = what, time.monotonic_ns(), None

    def promised(self, moment):
        return self.acked is not None and self.acked < moment

    def open(self, moment):
        return self.sent < moment and not self.promised(moment)


def possible(ops, moment, first=None):
    """What a thing with this history may be at a moment: the set of values, one when all is told."""
    values = {first}
    for op in ops:
        if op.promised(moment):
            values = {op.what}
        elif op.open(moment):
            values = values | {op.what}
    return values


class Code:
    def __init__(self, text, made):
        self.text, self.made = text, made
        self.claims = []  # at most one Op, what = the agent


class Session:
    def __init__(self, sid, body, made):
        self.sid, self.made = sid, made
        self.greeting, self.creator = body.get("greeting"), body.get("creatorAgentId")
        self.ttls = [made]        # what = seconds
        self.agents = {}          # name -> Ops, what = True (in) or False (out)
        self.keys = {}            # name -> key
        self.codes = []           # known codes
        self.messages = []        # Ops, what = (agent, text, verified); .cursor and .id when answered
        self.owner = None         # the worker that renews


class Load:
    """What all workers know. A worker works until it has done `steps`, or the server goes away."""

    def __init__(self, seed, workers=8):
        self.lock = threading.Lock()
        self.sessions, self.lost_creates, self.open_codes = [], [], []
        self.seed, self.count, self.round, self.answers = seed, workers, 0, 0
        self.workers = []

    def start(self, server, steps):
        self.round += 1
        self.workers = [Worker(self, server, number, steps) for number in range(self.count)]
        for worker in self.workers:
            worker.thread.start()

    def join(self, timeout_s=60):
        for worker in self.workers:
            worker.thread.join(timeout_s)
            assert not worker.thread.is_alive(), "a worker hangs"
            if worker.fault:
                raise AssertionError("seed %s: %r" % (self.seed, worker.fault)) from worker.fault
            self.answers += worker.answers


class Worker:
    def __init__(self, load, server, number, steps):
        self.load, self.steps, self.number = load, steps, "%d-%d" % (load.round, number)
        self.api = Api(server, 1 + number % 2, 20)
        self.source = random.Random("%s/%s" % (load.seed, self.number))
        self.mine = []  # (session, agent): members this worker speaks for
        self.names, self.answers, self.fault = 0, 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        try:
            for _ in range(self.steps):
                self.step()
        except LOST:
            pass
        except BaseException as fault:  # pylint: disable=broad-except
            self.fault = fault
        finally:
            self.api.close()

    def step(self):
        with self.load.lock:
            sessions = self.load.sessions[-10:]
        if len(sessions) < 4 or self.source.random() < 0.08:
            return self.create()
        session = self.source.choice(sessions)
        work = self.source.choices((self.join, self.again, self.pair, self.claim, self.renew, self.leave, self.send),
                                   (5, 1, 2, 3, 2, 3, 6))[0]
        return work(session)

    def ask(self, history, what, request, status):
        """Makes a request whose Op is in `history` from before it is sent."""
        op = Op(what)
        if history is not None:
            history.append(op)
        answer = request()
        op.acked = time.monotonic_ns()
        assert answer.status == status, answer
        self.answers += 1
        return op, answer.json

    def name(self):
        self.names += 1
        return "agent-%s-%d" % (self.number, self.names)

    def create(self):
        body = {"ttl": self.source.randrange(3000, 80000), "maxAgents": 50}
        if self.source.random() < 0.6:
            body["creatorAgentId"] = "boss"
        if self.source.random() < 0.6:
            body["greeting"] = "greeting %d %s" % (self.source.randrange(10**9), "g" * self.source.choice((0, 0, 3000)))
        lost = self.load.lost_creates  # it leaves this list when its id is known
        op = Op(body["ttl"])
        lost.append(op)
        answer = self.api.create(**body)
        op.acked = time.monotonic_ns()
        assert answer.status == 201, answer
        self.answers += 1
        session = Session(answer.json["sessionId"], body, op)
        session.owner = self.number
        if "creatorAgentId" in body:
            made = Op(True)
            made.sent, made.acked = op.sent, op.acked
            session.agents["boss"] = [made]
            session.keys["boss"] = answer.json["sessionKey"]
            self.mine.append((session, "boss"))
        with self.load.lock:
            self.load.sessions.append(session)
            lost.remove(op)

    def join(self, session):
        if len(session.agents) > 40:
            return
        agent = self.name()
        history = session.agents.setdefault(agent, [])
        _, body = self.ask(history, True, lambda: self.api.join(session.sid, agent), 200)
        session.keys[agent] = body["sessionKey"]
        self.mine.append((session, agent))

    def again(self, _):
        if self.mine:
            session, agent = self.source.choice(self.mine)
            _, body = self.ask(None, None, lambda: self.api.join(session.sid, agent, session.keys[agent]), 200)
            assert body.get("sessionKey", session.keys[agent]) == session.keys[agent], "another key for the same member"

    def pair(self, session):
        if len(session.codes) < 20:
            op, body = self.ask(None, None, lambda: self.api.pair(session.sid), 201)
            code = Code(body["code"], op)
            with self.load.lock:
                session.codes.append(code)
                self.load.open_codes.append((session, code))

    def claim(self, _):
        with self.load.lock:
            if not self.load.open_codes or self.source.random() < 0.3:
                return
            session, code = self.load.open_codes.pop(self.source.randrange(len(self.load.open_codes)))
        agent = self.name()
        both = Op(True)
        session.agents[agent] = [both]
        op, body = self.ask(code.claims, agent, lambda: self.api.claim(code.text, agent), 200)
        both.acked = op.acked
        session.keys[agent] = body["sessionKey"]
        self.mine.append((session, agent))

    def renew(self, _):
        own = [(session, agent) for session, agent in self.mine if session.owner == self.number]
        if own:
            session, agent = self.source.choice(own)
            ttl = self.source.randrange(3000, 80000)
            self.ask(session.ttls, ttl, lambda: self.api.renew(session.sid, agent, {"ttl": ttl}), 200)

    def leave(self, _):
        leavers = [at for at, (_, agent) in enumerate(self.mine) if agent != "boss"]
        if leavers:
            session, agent = self.mine.pop(self.source.choice(leavers))
            self.ask(session.agents[agent], False, lambda: self.api.leave(session.sid, agent, session.keys[agent]), 200)

    def send(self, _):
        if not self.mine:
            return
        session, agent = self.source.choice(self.mine)
        text = "text %d %s" % (self.source.randrange(10**12), "t" * self.source.choice((0, 10, 1000, 9000)))
        key = session.keys[agent] if self.source.random() < 0.7 else None
        op, body = self.ask(session.messages, (agent, text, key is not None),
                            lambda: self.api.send(session.sid, agent, text, key), 201)
        op.cursor, op.id = int(body["cursor"]), body["id"]
