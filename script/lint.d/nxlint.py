"""What the checks share: the tree they look at, C without comments and strings, and how they end.

A check is called as `NAME [ROOT]`; without ROOT it looks at the tree it lies in. It prints a line
"file:line: what is wrong" for each finding, and ends with 0 only if it had something to check and
found nothing.
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(HERE))
os.chdir(ROOT)

findings = 0
checked = 0


def files(folders=(), suffixes=()):
    """Paths of our own files (tracked or new, not ignored), relative to the root, sorted."""
    if os.path.isdir(".git") or os.path.isfile(".git"):
        out = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"],
                             check=True, capture_output=True).stdout
        paths = [p for p in out.decode().split("\0") if p and os.path.isfile(p)]
    else:
        paths = [os.path.relpath(os.path.join(folder, name), ".")
                 for folder, folders_below, names in os.walk(".")
                 if not re.match(r"\./(build|\.git)", folder)
                 for name in names]
    return sorted({p for p in paths
                   if (not folders or p.startswith(tuple(f + "/" for f in folders)))
                   and (not suffixes or p.endswith(tuple(suffixes)))})


C_FOLDERS = ("src", "include", "tests", "fuzz", "bench", "examples", "sim")


def c_files(suffixes=(".c", ".h")):
    return files(C_FOLDERS, suffixes)


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def data(name):
    """Rows of a data file beside the checks: words of each line that is no comment."""
    for line in text_of(os.path.join(HERE, name)).splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words


_NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def bare(text):
    """C source with comments, strings and characters blanked, lines and columns kept."""
    return _NOISE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def found(where, what):
    global findings
    findings += 1
    print(f"{where}: {what}")


def looked_at(count=1):
    global checked
    checked += count


def end(what):
    """Ends the check: `what` names the things that were counted ("files")."""
    if checked == 0:
        print(f"nothing to check: no {what}")
        sys.exit(1)
    print(f"{checked} {what}, {findings} findings")
    sys.exit(1 if findings else 0)


def run(args, **options):
    return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", stdin=subprocess.DEVNULL, **options)
