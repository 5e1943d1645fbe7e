#!/usr/bin/env python3
"""What goes in comes back (docs: wire, section 2; the issue's "json comes back as it went in"):
`json` is compared as the raw bytes of the poll's answer, `text` character by character."""
import json
import random
import sys

import lib
from lib import Api, Server

DEEP = b"[" * 100 + b"1" + b"]" * 100
NESTED = b'{"a":' * 100 + b"{}" + b"}" * 100
EXACT = [
    b'{"z":1,"a":2,"m":3}', b'{"b":{"z":0,"a":0},"a":[]}', b"1.10", b"1e400", b"-1e-400",
    b"1E+05", b"-0", b"-0.0",
    b"0.30000000000000004", b"12345678901234567890", b"-98765432109876543210", b"1" * 300, b"0."
    + b"3" * 300,
    b'{"a":1,"a":2,"a":1}', b'{"":0,"":1}', b'{"a":1,"\\u0061":2}', b'"\\u00e9"', '"é"'.encode(),
    b'"\\u00E9"',
    b'"\\/"', b'"/"', b'"\\b\\f\\n\\r\\t\\"\\\\"', b'"\\u0000"', b'"\\u001f\\u007f"',
    b'"\\ud83d\\ude00"',
    '"😀"'.encode(), b'"\\uD83D\\uDE00"', b'"\\ud800"', b'"\\udc00\\ud800"',
    '"\u2028\u2029"'.encode(),
    '"\x7f"'.encode(), '"\ufeff\uffff\U0010ffff"'.encode(), b"[]", b"{}", b"[[]]", b"[{}]",
    b'{"a":{}}', b'""',
    b"true", b"false", b"null", b"[null,true,false]", b'{"__proto__":{"x":1},"constructor":null}',
    b'{"json":{"text":"x"},"text":"y","messages":[]}', b'"</script><!--"', DEEP, NESTED,
    b"[" + b",".join(b"%d" % n for n in range(5000)) + b"]",
    b"{" + b",".join(b'"key%d":%d' % (n * 7919 % 1000, n) for n in range(1000)) + b"}",
    '{"ключ":"значение","鍵":"値","a\u0301":"á"}'.encode(),
]
SPACED = [(b' { "a" : [ 1 , 2 ] } ', b'{"a":[1,2]}'), (b'{\n\t"b": 1.10,\r\n"a": "x y"}',
    b'{"b":1.10,"a":"x y"}')]
REFUSED = [
    b"01", b"1.", b".5", b"+1", b"1e", b"0x1", b"NaN", b"Infinity", b"'x'", b'"\x01"', b'"\n"',
    b'"\\x"', b'"\\u12"',
    b'"\xff"', b'"\xc0\x80"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"', b'"\xe2\x82"', b"[1,]",
    b"[,1]", b"{,}", b'{"a"}',
    b'{"a":}', b"{1:2}", b"[1 2]", b"[", b"]", b"tru", b"nul", b"True", b"//x\n1", b"/**/1",
    b"1 2", b'"', b'"\\',
    b"[" * 100000 + b"]" * 100000, b'{"a":' * 20000 + b"1" + b"}" * 20000,
]


def texts():
    """Texts with every kind of character."""
    yield "".join(chr(code) for code in range(0x00, 0x20))
    yield "".join(chr(code) for code in range(0x20, 0x300))
    yield "\x7f\x80\x9f\u00ad\u200b\u200d\u200e\u202e\u2028\u2029\u2066\ufeff\ufffd\uffff\U0001ffff\U0010ffff"
    yield "e\u0301 \u0041\u030a ﷽ 👩‍👩‍👧‍👦 🇩🇪 नमस्ते 한국어 עברית العربية 日本語 \U0001f600"
    yield "\0"
    yield " \t\r\n "
    yield "\\u0041 \\n \" ' < > & % {} [] $() `x` \\"
    yield "x" * 50000
    yield "".join(chr(code) for code in range(0x300, 0xd800, 17))
    yield "".join(chr(code) for code in range(0x10000, 0x110000, 4099))
    yield "404 expired session not found agent not found"


class Fidelity(lib.Case):
    def setUp(self):
        super().setUp()
        self.sid = self.api.session()
        self.api.joined(self.sid, "a")
        self.path = "%s/%s/messages" % (self.api.base, self.sid)

    def send(self, body):
        return self.api.request("POST", self.path, body, agent="a")

    def stored(self, cursor):
        """The raw answer of the one message with that cursor."""
        answer = self.api.poll(self.sid, "a", int(cursor) - 1)
        self.assertEqual(answer.status, 200)
        self.assertEqual([m["cursor"] for m in answer.json["messages"]], [cursor])
        return answer.body

    def check_exact(self, value, wanted=None):
        body = self.expect(self.send(b'{"json":' + value + b"}"), 201)
        raw = self.stored(body["cursor"])
        self.assertTrue(any(b'"json":' + (wanted or value) + end in raw for end in (b",", b"}")),
                        "sent %r, got %r" % (value[:200], raw[:600]))

    def test_json_comes_back_byte_for_byte(self):
        for value in EXACT:
            with self.subTest(value=value[:60]):
                self.check_exact(value)

    def test_only_white_space_between_tokens_may_go(self):
        for value, compact in SPACED:
            with self.subTest(value=value):
                body = self.expect(self.send(b'{"json":' + value + b"}"), 201)
                raw = self.stored(body["cursor"])
                self.assertTrue(compact in raw or value.strip() in raw, raw)

    def test_json_after_the_text_and_before_it(self):
        for body in (b'{"text":"t","json":{"b":1.10,"a":1e400}}',
        b'{"json":{"b":1.10,"a":1e400},"text":"t"}',
                     b'{"x":{"json":0},"json":{"b":1.10,"a":1e400},"y":[{"text":1}],"text":"t"}'):
            with self.subTest(body=body):
                raw = self.stored(self.expect(self.send(body), 201)["cursor"])
                self.assertIn(b'"json":{"b":1.10,"a":1e400}', raw)
                self.assertEqual(json.loads(raw)["messages"][0]["text"], "t")

    def test_keys_written_with_escapes(self):
        raw = self.stored(self.expect(self.send(b'{"\\u0074ext":"t","js\\u006fn":1.0}'),
            201)["cursor"])
        self.assertIn(b'"json":1.0', raw)
        self.assertEqual(json.loads(raw)["messages"][0]["text"], "t")

    def test_what_is_no_json_is_refused(self):
        for value in REFUSED:
            with self.subTest(value=value[:60]):
                self.expect(self.send(b'{"json":' + value + b"}"), 400, "invalid_body")
        self.assertEqual(self.expect(self.api.poll(self.sid, "a"), 200)["messages"], [])

    def test_text_comes_back_character_by_character(self):
        for text in texts():
            for ascii_only in (True, False):
                with self.subTest(text=text[:40], ascii_only=ascii_only):
                    body = json.dumps({"text": text}, ensure_ascii=ascii_only).encode()
                    answer = self.expect(self.send(body), 201)
                    self.assertEqual(json.loads(self.stored(answer["cursor"]))["messages"][0]["text"], text)

    def test_lone_surrogates_in_text_break_nothing(self):
        for body in (b'{"text":"a\\ud800b"}', b'{"text":"\\udc00"}',
        b'{"text":"\\ud83d\\ud83d\\ude00"}'):
            answer = self.send(body)
            self.assertIn(answer.status, (201, 400))
            if answer.status == 201:
                self.stored(answer.json["cursor"]).decode("utf-8")

    def test_the_greeting_comes_back(self):
        for text in texts():
            with self.subTest(text=text[:40]):
                sid = self.api.session(greeting=text)
                self.assertEqual(self.expect(self.api.status(sid), 200).get("greeting"), text)
                self.api.joined(sid, "a")
                self.assertEqual(self.expect(self.api.poll(sid, "a"),
                    200)["messages"][0]["text"], text)

    def test_random_documents(self):
        seed = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else random.randrange(2**32)
        source = random.Random(seed)
        for _ in range(300):
            value = document(source, 0)
            with self.subTest(seed=seed, value=value[:80]):
                self.check_exact(value)


def document(source, depth):
    """A random JSON text without white space."""
    kind = source.randrange(7 if depth < 6 else 5)
    if kind == 5:
        return b"[" + b",".join(document(source, depth + 1) for _ in range(source.randrange(5))) + b"]"
    if kind == 6:
        return b"{" + b",".join(string(source) + b":" + document(source, depth + 1)
                                for _ in range(source.randrange(5))) + b"}"
    if kind < 2:
        return string(source)
    if kind == 2:
        return source.choice([b"true", b"false", b"null"])
    digits = b"".join(b"%d" % source.randrange(10) for _ in range(source.randrange(30)))
    number = source.choice([b"", b"-"]) + b"%d" % source.randrange(10)
    number += digits if number[-1:] != b"0" else b""
    if source.random() < 0.5:
        number += b".%d" % source.randrange(10) + digits
    if source.random() < 0.3:
        number += source.choice([b"e", b"E"]) + source.choice([b"", b"+", b"-"]) + b"%d" % source.randrange(999)
    return number


def string(source):
    pieces = []
    for _ in range(source.randrange(12)):
        pieces.append(source.choice([
            b"\\n", b"\\u%04x" % source.randrange(0xd800), b"\\u%04X" % source.randrange(0xe000,
            0x10000), b"\\/", b"\\\"",
            chr(source.randrange(0x20, 0x7f)).replace("\\", "x").replace('"', "y").encode(),
            chr(source.randrange(0x80, 0xd800)).encode(), chr(source.randrange(0x10000,
                0x110000)).encode()]))
    return b'"' + b"".join(pieces) + b'"'


class Durable(Fidelity):
    """The same from the disk: stored, the server stopped and started, read again."""

    server_args = ("--durable-messages",)

    def test_json_survives_a_restart(self):
        with Server("--durable-messages") as server:
            api = Api(server)
            sid = api.session()
            api.joined(sid, "a")
            for value in EXACT:
                answer = api.request("POST", "%s/%s/messages" % (api.base, sid), b'{"json":'
                    + value + b"}", agent="a")
                self.expect(answer, 201)
            before = api.poll(sid, "a", 0).body
            api.close()
            server.stop()
            server.start()
            after = api.poll(sid, "a", 0).body
            api.close()
            self.assertEqual(after, before)
            for value in EXACT:
                self.assertIn(b'"json":' + value, after)


if __name__ == "__main__":
    lib.unittest.main(module="__main__", argv=sys.argv[:1])
