"""The table of malformed requests that hostile.py sends: (name, bytes, statuses allowed). Data and
the small helpers that spell it; not runnable alone. Sources: RFC 9110, RFC 9112
(sections 2.2, 3, 5, 6, 7, 11), RFC 8259, RFC 3629, docs: wire section 3.

An entry's statuses: what the first answer may be. CLOSED means the connection must end after it and
nothing behind the request may be answered (request smuggling). SILENT allows no answer at all."""
CLOSED, SILENT = "closed", "silent"
SID, AGENT = b"@SID@", b"fuzzer"
UNKNOWN = b"0123456789abcdef" * 3
JSON = b"Content-Type: application/json\r\n"
TAIL = b"GET /health HTTP/1.1\r\nHost: smuggled\r\n\r\n"


def request(method, path, body=None, headers=b"", host=b"Host: x\r\n", version=b"HTTP/1.1"):
    length = b"" if body is None else b"Content-Length: %d\r\n" % len(body)
    return method + b" " + path + b" " + version + b"\r\n" + host + headers + length + b"\r\n" + (body or b"")


def request_lines():
    good = b"\r\nHost: x\r\n\r\n"
    for name, line, statuses in (
            ("one word", b"GET", {400}),
            ("two words", b"GET /health", {400, SILENT}),
            ("four words", b"GET /a b HTTP/1.1", {400}),
            ("leading space", b" GET / HTTP/1.1", {400}),
            ("tab", b"GET\t/health\tHTTP/1.1", {400}),
            ("double space", b"GET  /health HTTP/1.1", {400}),
            ("no path", b"GET  HTTP/1.1", {400}),
            ("trailing space", b"GET /health HTTP/1.1 ", {400}),
            ("lower version", b"GET /health http/1.1", {400}),
            ("version 2", b"GET /health HTTP/2.0", {400, 505}),
            ("version 9", b"GET /health HTTP/9.9", {400, 505}),
            ("version 1.2", b"GET /health HTTP/1.2", {200, 400, 505}),
            ("version 0.9", b"GET /health HTTP/0.9", {400, 505}),
            ("long version", b"GET /health HTTP/1.1111111", {400, 505}),
            ("no minor", b"GET /health HTTP/1", {400, 505}),
            ("other protocol", b"GET /health ICE/1.0", {400, 505}),
            ("rtsp", b"DESCRIBE /x RTSP/1.0", {400, 405, 505}),
            ("empty method", b" /health HTTP/1.1", {400}),
            ("method with colon", b"GE:T /health HTTP/1.1", {400}),
            ("method with slash", b"G/T /health HTTP/1.1", {400}),
            ("method NUL", b"G\0T /health HTTP/1.1", {400}),
            ("method high byte", b"G\xc4T /health HTTP/1.1", {400}),
            ("lower-case method", b"get /health HTTP/1.1", {400, 405, 501}),
            ("unknown method", b"BREW /health HTTP/1.1", {400, 405, 501}),
            ("long method", b"A" * 300 + b" /health HTTP/1.1", {400, 405, 501}),
            ("huge method", b"A" * 40000 + b" / HTTP/1.1", {400, 414, 431, 501}),
            ("http2 preface", b"PRI * HTTP/2.0\r\n\r\nSM", {400, 405, 505}),
            ("connect", b"CONNECT x:443 HTTP/1.1", {400, 404, 405, 501}),
            ("trace", b"TRACE / HTTP/1.1", {400, 405, 501}),
            ("asterisk", b"OPTIONS * HTTP/1.1", {200, 204, 400, 404, 405}),
            ("asterisk get", b"GET * HTTP/1.1", {400, 404}),
            ("authority", b"GET x:80 HTTP/1.1", {400, 404}),
            ("no slash", b"GET health HTTP/1.1", {400, 404}),
            ("empty query", b"GET /health? HTTP/1.1", {200}),
            ("absolute", b"GET http://x/health HTTP/1.1", {200}),
            ("absolute no path", b"GET http://x HTTP/1.1", {200, 400}),
            ("absolute other scheme", b"GET ftp://x/health HTTP/1.1", {200, 400, 404}),
            ("absolute no host", b"GET http:///health HTTP/1.1", {200, 400, 404}),
            ("fragment", b"GET /health#x HTTP/1.1", {200, 400, 404}),
            ("backslash", b"GET \\health HTTP/1.1", {400, 404}),
            ("raw NUL", b"GET /hea\0lth HTTP/1.1", {400}),
            ("raw control", b"GET /hea\x01lth HTTP/1.1", {400}),
            ("raw DEL", b"GET /hea\x7flth HTTP/1.1", {400}),
            ("raw CR", b"GET /hea\rlth HTTP/1.1", {400}),
            ("raw high byte", b"GET /hea\xc3\xa4lth HTTP/1.1", {400, 404}),
            ("raw quote", b'GET /"<>` HTTP/1.1', {400, 404}),
            ("raw braces", b"GET /{}|^ HTTP/1.1", {400, 404})):
        yield "line: " + name, line + good, statuses
    yield "line: bare LF", b"GET /health HTTP/1.1\nHost: x\n\n", {400}
    yield "line: LF LF in front", b"\n\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n", {200, 400}
    yield "line: CRLF in front", b"\r\n" + request(b"GET", b"/health"), {200, 400}
    yield "line: many CRLF in front", b"\r\n" * 100000 + request(b"GET", b"/health"), {200, 400,
        431, SILENT}
    yield "line: CR alone", b"GET /health HTTP/1.1\rHost: x\r\r", {400, SILENT}
    yield "line: nothing", b"", {SILENT}
    yield "line: NULs", b"\0" * 64, {400}
    yield "line: TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)), {400}
    yield "line: SSH", b"SSH-2.0-OpenSSH_9.2\r\n", {400, SILENT}
    yield "line: SMTP", b"EHLO localhost\r\n\r\n", {400}
    yield "line: redis", b"*1\r\n$4\r\nPING\r\n", {400}
    yield "line: random", bytes((n * 73 + 41) % 256 for n in range(4096)), {400}


def header_fields():
    def head(fields, path=b"/health"):
        return b"GET " + path + b" HTTP/1.1\r\n" + fields + b"\r\n"
    host = b"Host: x\r\n"
    for name, fields, statuses in (
            ("no host", b"", {400}),
            ("two hosts", host * 2, {400}),
            ("two different hosts", host + b"Host: y\r\n", {400}),
            ("empty host", b"Host:\r\n", {200, 400}),
            ("host with space", b"Host: a b\r\n", {200, 400}),
            ("host with path", b"Host: x/../../y\r\n", {200, 400}),
            ("host with CR", b"Host: x\ry\r\n", {400}),
            ("space before colon", host + b"X-A : 1\r\n", {400}),
            ("tab before colon", host + b"X-A\t: 1\r\n", {400}),
            ("no colon", host + b"nonsense\r\n", {400}),
            ("empty name", host + b": 1\r\n", {400}),
            ("obs-fold", host + b"X-A: 1\r\n 2\r\n", {400}),
            ("obs-fold tab", host + b"X-A: 1\r\n\t2\r\n", {400}),
            ("fold first", b" X: 1\r\n" + host, {400}),
            ("bare LF", host + b"X-A: 1\nX-B: 2\r\n", {400}),
            ("bare CR", host + b"X-A: 1\rX-B: 2\r\n", {400}),
            ("NUL in value", host + b"X-A: 1\0002\r\n", {400}),
            ("NUL in name", host + b"X\0A: 1\r\n", {400}),
            ("control in value", host + b"X-A: \x01\r\n", {400}),
            ("DEL in value", host + b"X-A: \x7f\r\n", {200, 400}),
            ("high bytes in value", host + b"X-A: \xff\xfe\r\n", {200, 400}),
            ("high bytes in name", host + b"X\xff: 1\r\n", {400}),
            ("space in name", host + b"X A: 1\r\n", {400}),
            ("bracket in name", host + b"X[A]: 1\r\n", {400}),
            ("quote in name", host + b"X\"A: 1\r\n", {400}),
            ("long value", host + b"X-A: " + b"a" * 60000 + b"\r\n", {431}),
            ("long name", host + b"X" * 60000 + b": 1\r\n", {400, 431}),
            ("many fields", host + b"".join(b"X-%d: 1\r\n" % n for n in range(5000)), {431}),
            ("megabyte of fields", host + (b"X-A: " + b"a" * 1000 + b"\r\n") * 1000, {431}),
            ("connection nonsense", host + b"Connection: ,,,close,,\x09\r\n", {200, 400}),
            ("upgrade", host + b"Connection: Upgrade\r\nUpgrade: websocket\r\n", {200, 400, 426}),
            ("h2c", host
            + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", {200, 400}),
            ("expect nonsense", host + b"Expect: the-unexpected\r\n", {200, 417}),
            ("range", host + b"Range: bytes=0-0,-1,5-\r\n", {200, 206, 416}),
            ("accept nonsense", host + b"Accept: ;;q=,/\r\n", {200, 406}),
            ("accept long", host + b"Accept: " + b"text/html;q=0.1," * 500 + b"\r\n", {200, 406}),
            ("content type on a get", host + b"Content-Type: \x80\r\n", {200, 400, 415})):
        yield "field: " + name, head(fields), statuses
    yield "field: long target", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {404, 414}
    yield "field: huge target", b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414,
        431}
    yield "field: long query", b"GET /health?" + b"a=b&" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {414, 431}
    yield "field: HTTP/1.0 without host", b"GET /health HTTP/1.0\r\n\r\n", {200}


def framing():
    """Lengths and codings: what could be read in two ways is refused and closed."""
    path = b"/v1/session"
    head = b"PUT " + path + b" HTTP/1.1\r\nHost: x\r\n" + JSON
    for name, fields, body in (
            ("length and chunked", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"0\r\n\r\n"),
            ("chunked and length", b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            b"0\r\n\r\n"),
            ("chunked and length 0", b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
            b"0\r\n\r\n"),
            ("two lengths", b"Content-Length: 2\r\nContent-Length: 40\r\n", b"{}"),
            ("length list that differs", b"Content-Length: 2, 40\r\n", b"{}"),
            ("length plus", b"Content-Length: +2\r\n", b"{}"),
            ("length minus", b"Content-Length: -2\r\n", b"{}"),
            ("length hex", b"Content-Length: 0x2\r\n", b"{}"),
            ("length fraction", b"Content-Length: 2.0\r\n", b"{}"),
            ("length word", b"Content-Length: two\r\n", b"{}"),
            ("length with a space", b"Content-Length: 2 2\r\n", b"{}"),
            ("length overflow", b"Content-Length: 18446744073709551618\r\n", b"{}"),
            ("length overflow more", b"Content-Length: " + b"9" * 60 + b"\r\n", b"{}"),
            ("length underscore", b"Content-Length: 1_0\r\n", b"{}        "),
            ("length NUL", b"Content-Length: 2\0\r\n", b"{}"),
            ("length tab inside", b"Content-Length: 1\t0\r\n", b"{}        "),
            ("length empty", b"Content-Length: \r\n", b"{}"),
            ("length with space before the colon", b"Content-Length : 2\r\n", b"{}"),
            ("coding with space before the colon", b"Transfer-Encoding : chunked\r\n",
            b"0\r\n\r\n"),
            ("coding folded", b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
            ("coding with VT", b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
            ("coding xchunked", b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
            ("coding quoted", b"Transfer-Encoding: \"chunked\"\r\n", b"0\r\n\r\n"),
            ("coding identity", b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"),
            ("coding chunked, identity", b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
            ("coding chunked twice",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
            ("coding chunked, chunked", b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n"),
            ("coding chunked then other",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", b"0\r\n\r\n"),
            ("coding gzip", b"Transfer-Encoding: gzip\r\n", b"{}"),
            ("coding gzip, chunked", b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
            ("coding empty", b"Transfer-Encoding: \r\n", b"0\r\n\r\n"),
            ("coding with parameter", b"Transfer-Encoding: chunked;q=1\r\n", b"0\r\n\r\n"),
            ("two codings, one empty", b"Transfer-Encoding: ,chunked;\r\n", b"0\r\n\r\n"),
            ("LF before the coding", b"X: y\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n")):
        yield "framing: " + name, head + fields + b"\r\n" + body + TAIL, {400, 411, 413,
            501, CLOSED}
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
    for name, body in (
            ("size word", b"zz\r\n{}\r\n0\r\n\r\n"),
            ("size minus", b"-2\r\n{}\r\n0\r\n\r\n"),
            ("size plus", b"+2\r\n{}\r\n0\r\n\r\n"),
            ("size 0x", b"0x2\r\n{}\r\n0\r\n\r\n"),
            ("size overflow", b"1" + b"0" * 16 + b"2\r\n{}\r\n0\r\n\r\n"),
            ("size long", b"f" * 40 + b"\r\n{}\r\n0\r\n\r\n"),
            ("size empty", b"\r\n{}\r\n0\r\n\r\n"),
            ("size space first", b" 2\r\n{}\r\n0\r\n\r\n"),
            ("size LF", b"2\n{}\r\n0\r\n\r\n"),
            ("data LF", b"2\r\n{}\n0\r\n\r\n"),
            ("data too long", b"2\r\n{}  \r\n0\r\n\r\n"),
            ("data too short", b"3\r\n{}\r\n0\r\n\r\n"),
            ("size CR", b"2\r{}\r\n0\r\n\r\n"),
            ("size NUL", b"2\0\r\n{}\r\n0\r\n\r\n"),
            ("extension NUL", b"2;\0\r\n{}\r\n0\r\n\r\n"),
            ("extension LF", b"2;a\nb\r\n{}\r\n0\r\n\r\n"),
            ("huge extension", b"2;" + b"a" * 100000 + b"\r\n{}\r\n0\r\n\r\n")):
        yield "chunk: " + name, chunked + body + TAIL, {400, 413, 431, CLOSED}
    yield "chunk: too much", chunked + b"7fffffff\r\n" + b" " * 1000, {400, 413, CLOSED}
    yield "chunk: bad trailer", chunked + b"0\r\nX : y\r\n\r\n" + TAIL, {400, CLOSED}
    yield "chunk: trailer without colon", chunked + b"0\r\nnonsense\r\n\r\n" + TAIL, {400, CLOSED}
    yield "chunk: huge trailer", chunked + b"0\r\nX: " + b"a" * 100000 + b"\r\n\r\n", {201, 400,
        413, 431}
    yield "chunk: good", chunked + b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nX-T: 1\r\n\r\n", {201}
    yield "chunk: one byte each", chunked + b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"ttl":60}') + b"0\r\n\r\n", {201}
    yield "chunk: upper hex and zeros", chunked + b"0000A\r\n{        }\r\n00\r\n\r\n", {201}
    yield "framing: same length twice", head + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", {201, 400}
    yield "framing: HTTP/1.0 chunked", chunked.replace(b"HTTP/1.1", b"HTTP/1.0") + b"2\r\n{}\r\n0\r\n\r\n" + TAIL, {201, 400, 501, CLOSED}
    yield "framing: length too long", head + b"Content-Length: 2000000000\r\n\r\n{}", {413}
    yield "framing: body cut", head + b"Content-Length: 20\r\n\r\n{}", {400, SILENT}
    yield "framing: chunk cut", chunked + b"5\r\n{", {400, SILENT}
    yield "framing: head cut", b"PUT /v1/session HTTP/1.1\r\nHost: x\r\nX-", {400, SILENT}
    yield "framing: get with a body", request(b"GET", b"/health", b"x" * 10) + TAIL, {200, 400}
    yield "framing: head with a body", request(b"HEAD", b"/health", b"x" * 10), {200, 400}


BAD_JSON = [
    b"{", b"}", b"[", b'"', b"{]", b"[}", b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":1,}',
    b'{,"a":1}', b'{"a"=1}', b"{'a':1}",
    b"{a:1}", b"{1:1}", b'{"a":1 "b":2}', b'{"a":01}', b'{"a":1.}', b'{"a":.1}', b'{"a":+1}',
    b'{"a":1e}', b'{"a":0x1}', b'{"a":NaN}',
    b'{"a":Infinity}', b'{"a":-}', b'{"a":tru}', b'{"a":True}', b'{"a":nul}', b'{"a":"\x00"}',
    b'{"a":"\n"}', b'{"a":"\t"}', b'{"a":"\\q"}',
    b'{"a":"\\u12"}', b'{"a":"\\u12g4"}', b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}',
    b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf8\x88\x80\x80\x80"}',
    b'{"a":"\xe2\x82"}', b'{"\xff":1}', b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"{}{}",
    b"{} x", b"{}\0", b"// c\n{}", b"/* c */{}", b"{}#",
    b"hello", b"a=b", b"<xml/>", b"---\na: 1", b"\0", b"\x1f\x8b\x08\x00", b"[" * 100000,
    b'{"a":' * 40000, b'{"a":"' + b"x" * 1000,
    b"[1,2", b"[1,,2]", b"undefined", b"NaN", b"-", b"\\", b"{\"a\":1}}", b'{"a":[1}',
    b'{"a":{"b":1]}',
]
NOT_OBJECTS = [b"[]", b"[{}]", b"1", b"-1.5e3", b'"text"', b"true", b"false", b"null", b'["text"]']


def bodies():
    for name, method, path in (("create 1", b"PUT", b"/v1/session"), ("create 2", b"PUT",
    b"/v1/sessions"), ("pair", b"PUT", b"/v1/pair"),
                               ("send", b"POST", b"/v1/sessions/" + SID + b"/messages"),
                               ("renew", b"POST", b"/v1/session/" + SID + b"/renew")):
        headers = JSON + b"X-Agent-Id: " + AGENT + b"\r\n"
        for body in BAD_JSON + NOT_OBJECTS:
            yield "body: %s %r" % (name, body[:30]), request(method, path, body, headers), {400}
    headers = JSON + b"X-Agent-Id: " + AGENT + b"\r\n"
    for field in (b"ttl", b"maxAgents"):
        for value in (b"-1", b"0", b"1e99", b"1e-9", b"0.5", b"99999999999999999999",
        b"-99999999999999999999", b'"1"', b"true", b"[]", b"{}",
                      b"86401", b"9223372036854775808", b"1e400", b'""'):
            yield "field: %s %s" % (field.decode(), value.decode()), \
                request(b"PUT", b"/v1/session", b'{"' + field + b'":' + value + b"}", headers), {400}
    for field, value in ((b"greeting", b"1"), (b"greeting", b"{}"), (b"creatorAgentId", b"7"),
    (b"creatorAgentId", b'"a\\u0000"'),
                         (b"creatorAgentId", b'"system"'), (b"creatorAgentId", b'"\\ud800"')):
        yield "field: %s %s" % (field.decode(), value.decode()), \
            request(b"PUT", b"/v1/sessions", b'{"' + field + b'":' + value + b"}", headers), {400}
    for body in (b'{"text":1}', b'{"text":{}}', b'{"text":[]}', b'{"text":true}',
    b'{"Text":"x"}', b'{"":""}', b'{"text\\u0000":"x"}'):
        yield "send: %r" % body, request(b"POST", b"/v1/session/" + SID
            + b"/messages", body, headers), {400}
    for body in (b'{"sessionId":1}', b'{"sessionId":null}', b'{"sessionId":["x"]}', b"{}"):
        yield "pair: %r" % body, request(b"PUT", b"/v1/pair", body, headers), {400}
    for body in (b'{"sessionId":""}', b'{"sessionId":"\\u0000"}', b'{"sessionId":"' + b"a" * 9000
    + b'"}', b'{"sessionId":"../x"}'):
        yield "pair: %r" % body[:40], request(b"PUT", b"/v1/pair", body, headers), {400, 404}


def agents():
    values = [b"a b", b"a;b", b"a,b", b"\"a\"", b"a/../b", b"\xff", b"\xc3\xa4", b"a%20b",
        b"x" * 129, b"x" * 8000, b"system", b"a=b", b"{}", b"a\tb",
              b"'or'1", b"$(id)", b"<b>", b"a\\b", b"@", b"a.b"]
    for name, method, path in (("join", b"POST", b"/v1/session/" + SID + b"/join"), ("send",
    b"POST", b"/v1/sessions/" + SID + b"/messages"),
                               ("poll", b"GET", b"/v1/session/" + SID + b"/messages"),
                               ("claim", b"POST", b"/v1/pair/PEARL-FOCAL-S5SJV/claim")):
        for value in values:
            headers = b"X-Agent-Id: " + value + b"\r\n" + (JSON if name == "send" else b"")
            wanted = {400, 404} if name == "claim" else {400}
            yield "agent: %s %r" % (name, value[:20]), request(method, path,
                b'{"text":"x"}' if name == "send" else None, headers), wanted
        two = b"X-Agent-Id: fuzzer\r\nX-Agent-Id: other\r\n"
        yield "agent: %s twice" % name, request(method, path, None, two), {400, 404}


def paths():
    for path in (b"//health", b"/health/", b"/./health", b"/../health", b"/v1/../health",
    b"/%2e%2e/health", b"/%2fhealth", b"/..%2f..%2fetc/passwd",
                 b"/v1//session", b"/v1/session//" + SID, b"/v1/session/" + SID + b"/",
                 b"/v1/session/", b"/V1/SESSION/" + SID,
                 b"/v1/session/" + SID + b"%00", b"/v1/session/%00", b"/v1/session/%",
                 b"/v1/session/%4", b"/v1/session/%zz", b"/%", b"/%0d%0aX:y",
                 b"/v1/session/%FF%FE", b"/v1/session/" + b"%41" * 2000, b"/v1/pair//status",
                 b"/v1/pair/%2F/status", b"/v1/pair/%00/status",
                 b"/v1/pair/" + b"A" * 5000 + b"/status", b"/v1/session/" + SID + b";x=y",
                 b"/health;x", b"/v1/session/" + SID + b"%2Fjoin",
                 b"/v1/session/*", b"/v1/session/" + UNKNOWN + b"?" + b"&" * 5000, b"/~root",
                 b"/cgi-bin/x", b"/index.php", b"/.git/config"):
        yield "path: %r" % path[:50], request(b"GET", path), {200, 301, 400, 404, 414}
    base = b"/v1/session/" + SID + b"/messages"
    headers = b"X-Agent-Id: " + AGENT + b"\r\n"
    for after in (b"-1", b"x", b"1.5", b"0x10", b"1e3", b"%00", b"%", b"%zz", b"%FF", b"1%0a",
    b"+1", b"%2B1", b"1&after=x", b"null", b"[1]", b"'1'",
                  b"1%20", b"--1", b"%E2%82%AC", b"1;2"):
        yield "after: %r" % after, request(b"GET", base + b"?after=" + after, None, headers), {400} if b"&" not in after else {200, 400}
    for query in (b"?", b"?&&&", b"?=", b"?after", b"?members=maybe", b"?members",
    b"?after=1&members=true&members=false", b"?a=%", b"?%00=1", b"?" + b"a" * 7000):
        yield "query: %r" % query[:30], request(b"GET", base + query, None, headers), {200, 400}


def everything():
    for part in (request_lines, header_fields, framing, bodies, agents, paths):
        yield from part()
