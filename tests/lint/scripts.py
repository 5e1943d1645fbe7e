#!/usr/bin/env python3
"""script/test and script/fuzz on a tiny project: they count, they fail when something failed or
nothing ran, and script/build notices changed options; script/run tells that its port is taken."""
import os
import re
import socket
import unittest

import lib

MESON = """project('tiny', 'c', default_options: ['c_std=gnu17'])
test('one', executable('unit_one', 'one.c'))
if get_option('fuzz')
  executable('trap', 'fuzz/trap.c', c_args: '-fsanitize=fuzzer', link_args: '-fsanitize=fuzzer')
endif
"""
OPTIONS = """option('sanitize', type: 'combo', choices: ['none', 'address', 'thread'])
option('fuzz', type: 'boolean', value: false)
option('tests', type: 'boolean', value: true)
"""
ONE = '#include <stdio.h>\nint main(void)\n{\n    puts("1..2\\nok 1 - a\\n%s 2 - b");\n    return %d;\n}\n'
TRAP = """#include <stdint.h>
#include <stddef.h>
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 'x')
        __builtin_trap();
    return 0;
}
"""


class Tiny(lib.Case):
    def setUp(self):
        super().setUp()
        self.copy("script")
        self.write("meson.build", MESON)
        self.write("meson_options.txt", OPTIONS)
        self.write("one.c", ONE % ("ok", 0))

    def assert_ends(self, wanted, last_line, *args, **env):
        status, out = self.call(*args, **env)
        self.assertEqual(status, wanted, out)
        self.assertRegex(out.rstrip().splitlines()[-1], last_line, out)
        return out


class ScriptTest(Tiny):
    def test_counts_every_kind(self):
        self.write("tests/e2e/lib.py", "raise SystemExit('not a test')\n")
        self.write("tests/e2e/cases.py", "#!/usr/bin/env python3\nimport unittest\n"
                   "class A(unittest.TestCase):\n    def test_a(self): pass\n    def test_b(self): pass\n"
                   "unittest.main()\n")
        self.write("tests/e2e/code.sh", "#!/usr/bin/env bash\ntest \"$NX_BUILD/nexus\" = \"$NEXUS_BIN\"\n")
        self.write("tests/lint/line.sh", "#!/usr/bin/env bash\necho 'lines: 3 passed, 0 failed'\n")
        self.assert_ends(0, "^8 passed, 0 failed$", "script/test")
        self.assert_ends(0, "^3 passed, 0 failed$", "script/test", "--only", "lint/line")
        self.assert_ends(1, "^0 passed, 0 failed$", "script/test", "--only", "no such")

    def test_failures_are_counted(self):
        self.write("one.c", ONE % ("not ok", 1))
        self.write("tests/e2e/a.sh", "#!/usr/bin/env bash\nexit 3\n")
        self.write("tests/e2e/b.sh", "#!/usr/bin/env bash\necho '4 passed, 2 failed'; exit 1\n")
        self.write("tests/e2e/c.sh", "#!/usr/bin/env bash\necho '4 passed, 0 failed'; exit 1\n")
        self.write("tests/e2e/d.sh", "#!/usr/bin/env bash\necho '0 passed, 0 failed'\n")
        self.write("tests/e2e/e.sh", "#!/usr/bin/env bash\n# timeout: 1\nsleep 30\n")
        self.write("tests/e2e/f.py", "#!/usr/bin/env python3\nimport unittest\nunittest.main()\n")
        self.assert_ends(1, "^9 passed, 8 failed$", "script/test")

    def test_a_crash_after_the_last_case_is_a_failure(self):
        self.write("one.c", ONE % ("ok", 1))
        self.assert_ends(1, "^2 passed, 1 failed$", "script/test")

    def test_what_does_not_build_fails(self):
        self.write("one.c", "no C\n")
        status, out = self.call("script/test")
        self.assertNotEqual(status, 0)
        self.assertIn("build-san does not build", out)

    def test_changed_options_make_a_new_build(self):
        self.assertEqual(self.call("script/build")[0], 0)
        stamp = os.path.join(self.tree, "build/.options")
        with open(stamp, "a", encoding="utf-8") as f:
            f.write("-Dother=1\n")
        self.write("build/left", "")
        self.assertEqual(self.call("script/build")[0], 0)
        self.assertFalse(os.path.exists(os.path.join(self.tree, "build/left")))


class ScriptFuzz(Tiny):
    def test_without_a_target(self):
        self.assert_ends(1, "no target", "script/fuzz", "all", "1")

    def test_corpus_and_crash(self):
        self.write("fuzz/trap.c", TRAP)
        self.assert_ends(1, "^0 passed, 1 failed$", "script/fuzz", "all", "1")
        self.write("fuzz/corpus/trap/a", "a")
        out = self.assert_ends(1, "^0 passed, 1 failed$", "script/fuzz", "trap", "20")
        self.assertIn("the input is saved in fuzz/crashes/trap", out)
        self.assertEqual(len(os.listdir(os.path.join(self.tree, "fuzz/crashes/trap"))), 1)
        out = self.assert_ends(1, "^0 passed, 1 failed$", "script/fuzz", "all", "1")
        self.assertIn("crashes again", out)
        self.write("fuzz/trap.c", TRAP.replace("size > 0", "size > size"))
        self.assert_ends(0, "^1 passed, 0 failed$", "script/fuzz", "all", "1")
        self.assert_ends(1, "^0 passed, 1 failed$", "script/fuzz", "no_such", "1")
        self.assert_ends(0, "^trap$", "script/fuzz")


class ScriptRun(Tiny):
    def test_a_taken_port(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            status, out = self.call("script/run", "--port", str(taken.getsockname()[1]))
        self.assertEqual(status, 1, out)
        self.assertRegex(out, "^run: port [0-9]+ is taken")


class ScriptLint(Tiny):
    def test_one_red_check_is_red(self):
        self.assert_ends(1, "^0 passed, 1 failed$", "script/lint", "--only", "floors-include")
        self.write("src/base/a.c", "/* x */\n")
        self.assert_ends(0, "^1 passed, 0 failed$", "script/lint", "--only", "floors-include")
        status, out = self.call("script/lint", "--only", "no such")
        self.assertNotEqual(status, 0)
        self.assertTrue(re.search("there is no check named no such", out))


if __name__ == "__main__":
    unittest.main()
