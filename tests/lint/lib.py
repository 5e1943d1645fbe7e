"""What the tests of the scripts share: trees in a temporary folder, and the checks run on them."""
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_S = 120


def environment():
    """Ours without what an outer run of script/test put there; git looks at no outer tree."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NX_", "NEXUS_", "GIT_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "NX_JOBS": os.environ.get("NX_JOBS", "2")}


class Case(unittest.TestCase):
    """Each test has an empty folder `self.tree`."""

    def setUp(self):
        self.tree = tempfile.mkdtemp(prefix="nexus-lint-")
        self.addCleanup(shutil.rmtree, self.tree)

    def write(self, path, text, mode=0o644):
        full = os.path.join(self.tree, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(full, mode)
        return full

    def copy(self, *folders):
        """The project's own files of these folders (or these files), as they are now."""
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "-co", "--exclude-standard",
                                 "--", *folders], check=True, capture_output=True).stdout
        for path in filter(None, listed.decode().split("\0")):
            if os.path.isfile(os.path.join(ROOT, path)):
                full = os.path.join(self.tree, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                shutil.copy2(os.path.join(ROOT, path), full)

    def call(self, *args, **extra):
        """(status, output) of a program run in the tree."""
        done = subprocess.run(args, cwd=self.tree, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S,
                              env={**environment(), **extra}, errors="replace")
        return done.returncode, done.stdout

    def check(self, name):
        return self.call(os.path.join(ROOT, "script/lint.d", name), self.tree)

    def assert_green(self, name):
        status, out = self.check(name)
        self.assertEqual(status, 0, out)

    def assert_red(self, name, *words):
        """The check fails, and says each of these words."""
        status, out = self.check(name)
        self.assertNotEqual(status, 0, out)
        for word in words:
            self.assertIn(word, out)
