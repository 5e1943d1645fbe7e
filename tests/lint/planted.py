#!/usr/bin/env python3
"""Every check of script/lint sees a violation planted for it, with file and line, and fails when
there is nothing to check. The cheap ones look at a copy of the real tree, the costly at a tiny one.
"""
import json
import os
import re
import subprocess
import unittest

import lib

GOOD_C = "/* A file. */\n#include <string.h>\n\nint nx_planted(void);\nint nx_planted(void)\n{\n" \
         "    return (int)strlen(\"x\");\n}\n"
FAKE_NEXUS = """#!/usr/bin/env python3
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
host, port = sys.argv[sys.argv.index("--listen") + 1].rsplit(":", 1)
HTTPServer((host, int(port)), Answer).serve_forever()
"""


class Planted(lib.Case):
    def plant(self, path, text):
        self.copy("src", "include", "tests", ".clang-format")
        self.write(path, text)

    def test_all_checks_are_tested(self):
        with open(os.path.join(lib.ROOT, "script/lint"), encoding="utf-8") as f:
            block = re.search(r"^checks=\((.*?)^\)", f.read(), re.M | re.S).group(1)
        names = [word.split(":")[0] for word in block.split()]
        self.assertGreater(len(names), 5)
        for name in names:
            for kind in ("planted", "nothing"):
                test = f"test_{name.replace('-', '_')}_{kind}"
                self.assertTrue(hasattr(self, test), f"no {test}")
        folder = os.path.join(lib.ROOT, "script/lint.d")
        programs = {n for n in os.listdir(folder) if "." not in n and n != "__pycache__"}
        self.assertEqual(programs, set(names))

    # floors-include

    def test_floors_include_planted(self):
        for path, header, why in [
            ("src/base/planted.c", '"io/store.h"', "floor 6 is above floor 0"),
            ("src/base/planted.c", "<time.h>", "time.h"),
            ("src/base/planted.c", "<stdio.h>", "stdio.h is only for"),
            ("src/protocol/http1/planted.h", "<sys/socket.h>", "is only for src/io"),
            ("src/redact/planted.c", "<uv.h>", "is only for src/io, src/node"),
            ("src/redact/planted.c", '"protocol/http1/http1.h"', "rooms of one floor"),
            ("src/session/state/planted.c", '"session/pages/pages.h"', "rooms of one floor"),
            ("src/session/client/planted.c", '"session/pages/pages.h"', "rooms of one floor"),
            ("src/io/planted.c", '"node/session_server.h"', "floor 7 is above floor 6"),
            ("src/io/planted.c", "<llhttp.h>", "is only for src/protocol/http1"),
            ("src/node/planted.c", "<lmdb.h>", "is only for src/io"),
            ("src/cli/planted.c", "<openssl/evp.h>", "is only for src/crypto, src/io"),
            ("include/nexus/planted.h", '"base/buf.h"', "rooms of one floor"),
        ]:
            with self.subTest(path=path, header=header):
                self.plant(path, f"/* x */\n#include <stddef.h>\n#include {header}\n")
                self.assert_red("floors-include", f"{path}:3: ", why)
                os.unlink(os.path.join(self.tree, path))

    def test_floors_include_what_is_allowed(self):
        for path, header in [
            ("src/session/api/planted.c", '"session/pages/pages.h"'),
            ("src/node/planted.c", "<uv.h>"),
            ("src/io/planted.c", "<sys/socket.h>"),
        ]:
            self.write("src/session/pages/pages.h", "/* x */\n")
            self.write(path, f"/* x */\n#include {header}\n")
        self.assert_green("floors-include")

    def test_floors_include_a_folder_without_a_floor(self):
        self.write("src/attic/planted.c", "/* x */\n")
        self.assert_red("floors-include", "src/attic/planted.c:1: lies on no floor")

    def test_floors_include_nothing(self):
        self.assert_red("floors-include", "nothing to check")

    # floors-symbols

    def compile(self, *sources):
        """Makes a build-debug folder as meson would: objects and compile_commands.json."""
        commands = []
        for source in sources:
            output = source.replace("/", "_") + ".o"
            os.makedirs(os.path.join(self.tree, "build-debug"), exist_ok=True)
            subprocess.run(["cc", "-w", "-g", "-O0", "-U_FORTIFY_SOURCE", "-Isrc", "-c", source, "-o",
                            f"build-debug/{output}"], check=True, cwd=self.tree)
            commands.append({"directory": os.path.join(self.tree, "build-debug"),
                             "command": f"cc -I../src -c ../{source}", "file": f"../{source}",
                             "output": output})
        self.write("build-debug/compile_commands.json", json.dumps(commands))

    def test_floors_symbols_planted(self):
        for call in ("time(0)", "socket(2, 1, 0)", "getrandom(0, 0, 0)", "open(\"x\", 0)",
                     "pthread_self()", "uv_now(0)", "exit(1)", "puts(\"x\")", "malloc(7)"):
            with self.subTest(call=call):
                name = call.split("(")[0]
                self.write("src/base/planted.c", "int nx_f(void);\nint nx_f(void)\n"
                           f"{{\n    ({call});\n    return 0;\n}}\n")
                self.compile("src/base/planted.c")
                self.assert_red("floors-symbols", f"src/base/planted.c:4: {name} ")

    def test_floors_symbols_calls_a_higher_floor(self):
        self.write("src/io/planted.c", "int nx_above(void);\nint nx_above(void)\n{\n    return 1;\n}\n")
        self.write("src/base/planted.c",
                   "int nx_above(void);\nint nx_f(void);\nint nx_f(void)\n{\n    return nx_above();\n}\n")
        self.compile("src/base/planted.c", "src/io/planted.c")
        self.assert_red("floors-symbols", "src/base/planted.c:5: nx_above floor 6 is above floor 0")

    def test_floors_symbols_what_is_allowed(self):
        self.write("src/base/planted.c", GOOD_C)
        self.compile("src/base/planted.c")
        self.assert_green("floors-symbols")

    def test_floors_symbols_nothing(self):
        self.assert_red("floors-symbols", "nothing to check")

    # format, size, banned, headers

    def test_format_planted(self):
        self.plant("src/base/planted.c", "/* x */\nint nx_f(void);\nint  nx_f(void) {return 1;}\n")
        self.assert_red("format", "src/base/planted.c:3:")

    def test_format_nothing(self):
        self.assert_red("format", "nothing to check")

    def test_size_planted(self):
        body = "    nx_f();\n"
        self.write("src/base/planted.c", "int nx_f(void)\n{\n" + body * 71 + "}\n")
        self.assert_red("size", "src/base/planted.c:2: the function has 71 lines")
        self.write("src/base/planted.c", "int nx_f(void)\n{\n" + body * 70 + "}\n")
        self.assert_green("size")
        self.write("tests/planted.py", "x = 1\n" * 801)
        self.assert_red("size", "tests/planted.py:801: the file has 801 lines")

    def test_size_nothing(self):
        self.assert_red("size", "nothing to check")

    def test_banned_planted(self):
        for call in ("strcpy(a, b)", "sprintf(a, b)", "atoi(a)", "rand()", "time(0)", "usleep (1)"):
            with self.subTest(call=call):
                self.write("src/base/planted.c", f"/* strcat() */\nvoid f(void)\n{{\n    {call};\n}}\n")
                self.assert_red("banned", f"src/base/planted.c:4: {call.split('(')[0].strip()}()")
        self.write("src/base/planted.c", 'void f(void)\n{\n    g("atoi(x)"); /* rand() */\n}\n')
        self.write("src/io/planted.c", "void f(void)\n{\n    time(0); x->rand(1); my_atoi(1);\n}\n")
        self.assert_green("banned")
        self.write("src/cli/planted.c", "void f(void)\n{\n    nanosleep(&x, 0);\n}\n")
        self.assert_green("banned")
        self.write("src/node/planted.c", "void f(void)\n{\n    nanosleep(&x, 0);\n}\n")
        self.assert_red("banned", "src/node/planted.c:3: nanosleep()")
        self.write("src/io/planted.c",
                   "void f(void)\n{\nagain:\n    g();\n    goto again;\n}\n")
        self.assert_red("banned", "src/io/planted.c:5: goto again jumps backwards")

    def test_banned_nothing(self):
        self.assert_red("banned", "nothing to check")

    def test_headers_planted(self):
        good = "/* x */\n#ifndef NX_BASE_PLANTED_H\n#define NX_BASE_PLANTED_H\n{}\n#endif\n"
        path = "src/base/planted.h"
        self.write(path, good.format("int nx_f(void);"))
        self.assert_green("headers")
        self.write(path, good.format("void nx_f(size_t n);"))
        self.assert_red("headers", f"{path}:4: unknown type name")
        self.write(path, good.format("int nx_f(void);").replace("BASE_PLANTED", "OTHER"))
        self.assert_red("headers", f"{path}:2: the guard NX_OTHER_H")
        self.write(path, "/* x */\nint nx_f(void);\n")
        self.assert_red("headers", f"{path}:1: no include guard")
        self.write(path, good.format("int nx_f(void);").replace("/* x */\n", ""))
        self.assert_red("headers", f"{path}:1: does not open with a comment")

    def test_headers_nothing(self):
        self.assert_red("headers", "nothing to check")

    # shellcheck, cppcheck, tidy

    def test_shellcheck_planted(self):
        self.write("script/planted", "#!/usr/bin/env bash\nset -euo pipefail\nrm $1\n")
        self.assert_red("shellcheck", "script/planted:3:")
        self.write("script/planted", "#!/usr/bin/env bash\nrm \"$1\"\n")
        self.assert_red("shellcheck", "script/planted:1: no `set -euo pipefail`")

    def test_shellcheck_nothing(self):
        self.assert_red("shellcheck", "nothing to check")

    def test_cppcheck_planted(self):
        self.write("src/base/planted.c", "int nx_f(void)\n{\n    int a[2] = {0};\n    return a[2];\n}\n")
        self.assert_red("cppcheck", "src/base/planted.c:4: arrayIndexOutOfBounds")
        self.write("src/base/planted.c", "// cppcheck-suppress nullPointer\nint nx_f(void);\n")
        self.assert_red("cppcheck", "src/base/planted.c:1: a cppcheck-suppress without")

    def test_cppcheck_nothing(self):
        self.assert_red("cppcheck", "nothing to check")

    def test_tidy_planted(self):
        self.copy(".clang-tidy")
        self.write("src/base/planted.c", "int nx_f(int a);\nint nx_f(int a)\n{\n    if (a > 1);\n"
                                         "        a = 2;\n    return a;\n}\n")
        self.compile("src/base/planted.c")
        for _ in range(2):  # a finding is not kept as a clean result
            self.assert_red("tidy", "src/base/planted.c:4:", "bugprone-suspicious-semicolon")
        self.write("src/base/planted.c", GOOD_C)
        self.assert_green("tidy")
        self.write("src/base/planted.c", GOOD_C.replace('"x");', '"x"); // NOLINT'))
        self.assert_red("tidy", "src/base/planted.c:7: write NOLINT(check): reason")

    def test_tidy_sees_that_a_header_changed(self):
        self.copy(".clang-tidy")
        self.write("src/base/planted.h", "int nx_f(int a);\n")
        self.write("src/base/planted.c", '#include "base/planted.h"\nint nx_f(int a)\n{\n    return a;\n}\n')
        self.compile("src/base/planted.c")
        self.assert_green("tidy")
        self.write("src/base/planted.h", "int nx_f(int other);\n")
        self.assert_red("tidy", "src/base/planted.h:1:", "inconsistent-declaration-parameter-name")

    def test_tidy_nothing(self):
        self.assert_red("tidy", "nothing to check")

    # light

    def command(self, body, *flags, name="nexus"):
        self.write("planted.c", "#include <stdio.h>\n#include <string.h>\n#include <unistd.h>\n"
                   f"static char big[1 << 23];\nint main(void)\n{{\n    char text[64];\n    {body}\n"
                   "    return (int)read(0, text, (size_t)big[0]);\n}\n")
        os.makedirs(os.path.join(self.tree, "build"), exist_ok=True)
        subprocess.run(["cc", "-O1", "-pie", "-fPIE", "-fstack-protector-strong", "-Wl,-z,relro",
                        "-Wl,-z,now", "-Wl,--as-needed", "planted.c", *flags, "-o", f"build/{name}"],
                       check=True, cwd=self.tree)

    def test_light_planted(self):
        self.command("(void)0;", name="nexus-session")
        for body, flags, words in [
            ("(void)0;", ["-Wl,--no-as-needed", "-lm"], "build/nexus: needs libm.so.6"),
            ("(void)0;", ["-no-pie", "-fno-pie"], "build/nexus: not position independent"),
            ("(void)0;", ["-Wl,-z,lazy"], "build/nexus: lazy binding"),
            ("(void)0;", ["-Wl,-z,norelro"], "build/nexus: no RELRO"),
            ("(void)0;", ["-Wl,-z,execstack"], "build/nexus: executable stack"),
            ("(void)0;", ["-fno-stack-protector"], "build/nexus: no stack protector"),
            ("usleep(8000);", [], "build/nexus: start_ms is"),
            ("memset(big + 1, 1, sizeof(big) - 1);", [], "build/nexus: resident_kib is"),
            ("static char fat[1 << 21] = {1}; read(0, fat, 0);", [], "build/nexus: file_kib is"),
            ("return 1;", [], "build/nexus: --version ended with status"),
        ]:
            with self.subTest(body=body, flags=flags):
                self.command(body, *flags)
                self.assert_red("light", words)

    def test_light_what_is_allowed(self):
        self.command("(void)0;", name="nexus-session")
        self.command("(void)0;")
        self.assert_green("light")

    def test_light_nothing(self):
        self.assert_red("light", "nothing to check")

    # snippets

    def document(self, text, path="README.md"):
        self.write("build/nexus", FAKE_NEXUS, 0o755)
        self.write(path, text)

    def test_snippets_planted(self):
        self.document("# x\n\n```sh\ntrue\nX=1\n```\n\n```sh\ntest $X = 1\nfalse\n```\n")
        self.assert_red("snippets", "README.md:10: ")
        self.document("```sh\nno_such_command\n```\n")
        self.assert_red("snippets", "README.md:2: ", "no_such_command")
        self.document("x\n```\ntrue\n```\n```sh\ntrue\n```\n")
        self.assert_red("snippets", "README.md:2: a block without a language")
        self.document("```sh\n# not run\ncurl x\n```\n```sh\ntrue\n```\n")
        self.assert_red("snippets", "README.md:2: only script/")

    def test_snippets_what_is_allowed(self):
        self.document('```sh\ncurl -fsS "$NEXUS_URL/health"\n```\n\n```text\nfalse\n```\n\n'
                      "```sh\n# not run\nscript/run\n```\n", path="docs/USING.md")
        self.assert_green("snippets")

    def test_snippets_without_a_server(self):
        self.document("```sh\ntrue\n```\n")
        self.write("build/nexus", "#!/bin/sh\necho no such verb; exit 2\n", 0o755)
        self.assert_red("snippets", "no such verb")

    def test_snippets_nothing(self):
        self.assert_red("snippets", "nothing to check")
        self.document("```text\nx\n```\n")
        self.assert_red("snippets", "nothing to check")


if __name__ == "__main__":
    unittest.main()
