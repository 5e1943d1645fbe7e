#!/usr/bin/env python3
"""No session id, key, pairing code or message text in a log or an error page (docs: wire, section
3; the issue): a whole conversation with errors of every kind, then every byte the server printed
with --log-requests and every error body is searched."""
import urllib.parse

import lib
from lib import Api, Server


class Privacy(lib.unittest.TestCase):

    def converse(self, server, api, gen):
        """Talks, errs, and returns (secrets, error bodies)."""
        secrets = {
            "greeting": "greeting-%d-sapphire" % gen, "text": "text-%d-carnelian" % gen,
            "json": "json-%d-obsidian" % gen, "refused": "refused-%d-malachite" % gen
        }
        made = api.create(greeting=secrets["greeting"], creatorAgentId="boss", maxAgents=3).json
        sid = secrets["session"] = made["sessionId"]
        boss = secrets["creator key"] = made["sessionKey"]
        key = secrets["key"] = api.joined(sid, "a")
        code = secrets["code"] = api.code(sid)
        open_code = secrets["open code"] = api.code(sid)
        secrets["claimed key"] = api.claim(code, "b").json["sessionKey"]
        api.claim(code, "c")
        api.claim(open_code.lower(), "c")
        api.claim(open_code, "a")
        api.claim(open_code, "a b")
        api.claim(open_code, None)
        api.pair_status(code.lower())
        for headers in ({}, {"Accept": "text/html"}):
            for path in ("/p/%s" % open_code, "/v1/pair/%s/skill" % open_code,
                         "/v1/pair/%s/skill" % code):
                api.request("GET", path, headers=headers)
        api.send(sid, "a", secrets["text"], key)
        api.send(sid, "a", {"json": {"deep": [secrets["json"]]}}, key)
        api.send(sid, "a", secrets["refused"], boss)
        api.send(sid, "stranger", secrets["refused"], key)
        api.send(sid, None, secrets["refused"])
        api.send(sid, "a", {"text": [secrets["refused"]]})
        base = "%s/%s" % (api.base, sid)
        wrong = secrets["refused"].encode()
        for method, path, body, headers in (
            ("POST", base + "/messages", b'{"text":"' + wrong,
             {}), ("POST", base + "/messages", wrong,
                   {}), ("POST", base + "/messages", b'{"text":"' + wrong + b'"}',
                         {"Content-Type": "text/plain"
                          }), ("PUT", api.base, b'{"greeting":["' + wrong + b'"]}', {}),
            ("PUT", api.base, b'{"greeting":"' + wrong,
             {}), ("PUT", api.base, b'{"creatorAgentId":"' + wrong + b' !"}',
                   {}), ("PUT", "/v1/pair", b'{"sessionId":["' + sid.encode() + b'"]}',
                         {}), ("PUT", "/v1/pair", b'{"sessionId":"' + sid.encode(),
                               {}), ("PATCH", base, None, {}), ("DELETE", base, None, {}),
            ("GET", base + "/join", None, {}), ("GET", base + "/nothing", None,
                                                {}), ("GET", "/nothing/" + sid, None,
                                                      {}), ("GET", base + "/x/" + key, None,
                                                            {}),
            ("GET", "/v1/pair/%s/nothing" % open_code, None,
             {}), ("PATCH", "/v1/pair/%s/claim" % open_code, None,
                   {}), ("GET", base + "/messages?after=" + key, None,
                         {}), ("GET", base + "/messages?key=" + key, None,
                               {}), ("GET", "/health?session=" + sid, None,
                                     {}), ("GET", base + "/messages?after=%zz" + sid, None,
                                           {}), ("GET", "/v1/session/%73" + sid, None, {}),
            ("GET", base, None, {"Referer": "http://x/p/" + open_code}), ("GET", base, None, {
                "User-Agent": key, "X-Request-Id": sid
            }), (sid, "/health", None, {}), ("GET", base + "/" + "x" * 20000, None,
                                             {}), ("GET", base, None, {"X-Large": sid * 1000})):
            api.request(method, path, body, agent="a", headers=headers, check=False)
            api.close()
        for raw in (b"GET /v1/session/%s HTTP/1.1\r\n\r\n", b"GET /v1/session/%s\r\n\r\n",
                    b"%s / HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"GET /v1/session/%s HTTP/9.9\r\nHost: x\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: x\r\nX-Session-Key:\0%s\r\n\r\n",
                    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %s\r\n\r\n"):
            sock = lib.connect(server)
            sock.sendall(raw % sid.encode())
            answer, _, _ = lib.read_answer(sock)
            sock.close()
            if answer is not None:
                api.answers.append(("raw", "", answer))
        api.poll(sid, "a", "0")
        api.leave(sid, "a", boss)
        api.leave(sid, "a", key)
        api.leave(sid, "boss", boss)
        api.poll(sid, "a")
        api.join(sid, "a", key)
        api.join(sid, "z")
        api.renew(sid, "a", {"ttl": secrets["refused"]})
        return secrets

    def search(self, where, data, secrets):
        lower = data.lower()
        for name, secret in secrets.items():
            for form in {
                    secret,
                    urllib.parse.quote(secret, safe=""), secret[:24] if len(secret) > 40 else secret
            }:
                self.assertNotIn(form.lower().encode(), lower, "the %s is in %s" % (name, where))

    def converse_and_search(self, *args, **options):
        with Server("--log-requests", *args, **options) as server:
            every, requests = {}, 0
            for gen in (1, 2):
                api = Api(server, gen)
                api.answers = []
                secrets = self.converse(server, api, gen)
                every.update({
                    "%s of generation %d" % item: secret
                    for item, secret in (((name, gen), secret) for name, secret in secrets.items())
                })
                for method, path, answer in api.answers:
                    if answer.status >= 400:
                        self.search("the %d answer to %s %s" % (answer.status, method, path[:60]),
                                    answer.body, secrets)
                    for name, value in answer.headers.items():
                        if name.lower() not in ("location", ):
                            self.search("the header " + name, value.encode(), secrets)
                requests += len(api.answers)
                self.assertGreater(len([a for _, _, a in api.answers if a.status >= 400]), 25)
                api.close()
            server.stop()
            output = server.output()
            self.assertGreater(output.count(b"\n"), requests * 0.8,
                               "it hardly logged: %r" % output[:2000])
            self.search("the log", output, every)

    def test_nothing_private_is_printed_or_in_an_error(self):
        self.converse_and_search()

    def test_nor_with_durable_messages_and_a_rate_limit(self):
        self.converse_and_search("--durable-messages")
        with Server("--log-requests", rate_limit=4) as server:
            api = Api(server)
            api.answers = []
            sid = api.session(greeting="greeting-lapis")
            key = api.joined(sid, "a")
            code = api.code(sid)
            for _ in range(3):
                api.send(sid, "a", "text-lapis", key)
                api.claim(code, "b")
            secrets = {
                "session": sid, "key": key, "code": code, "greeting": "greeting-lapis",
                "text": "text-lapis"
            }
            self.assertEqual(api.answers[-1][2].status, 429)
            for _, path, answer in api.answers:
                if answer.status >= 400:
                    self.search("the 429", answer.body, secrets)
            api.close()
            server.stop()
            self.search("the log", server.output(), secrets)


if __name__ == "__main__":
    lib.main()
