"""The floor table (floors.txt): which floor a file is on, and what it may include."""
import fnmatch
import os

import nxlint


class Floors:
    def __init__(self):
        self.rooms = []  # (pattern, floor, folders it may also include)
        self.pure = set()
        self.only = []  # (header or header prefix, places)
        for kind, *words in nxlint.data("floors.txt"):
            if kind == "floor":
                self.rooms.append((words[1], int(words[0]), [w[1:] for w in words[2:]]))
            elif kind == "pure":
                self.pure.update(words)
            elif kind == "only":
                self.only.append((words[0], words[1:]))
            else:
                raise SystemExit(f"floors.txt: unknown word {kind}")

    def room(self, path):
        """(folder, floor, also) of a file, or None: the longest row that fits."""
        best = None
        folder = os.path.dirname(path)
        for pattern, floor, also in self.rooms:
            depth = pattern.count("/") + 1
            head = "/".join(folder.split("/")[:depth])
            if fnmatch.fnmatchcase(head, pattern) and (not best or depth > best[3]):
                best = (head, floor, also, depth)
        return best[:3] if best else None

    def may_know(self, path, other):
        """None, or why the file at `path` must not include the project's file `other`."""
        mine, theirs = self.room(path), self.room(other)
        if not theirs:
            return "lies on no floor"
        if mine[0] == theirs[0] or theirs[0] in mine[2]:
            return None
        if theirs[0] == "include/nexus":
            return "public headers are for src/node and src/cli"
        if theirs[1] > mine[1]:
            return f"floor {theirs[1]} is above floor {mine[1]}"
        if theirs[1] == mine[1]:
            return f"{mine[0]} and {theirs[0]} are rooms of one floor"
        return None

    def may_use(self, path, header):
        """None, or why the file must not include this header from outside the project."""
        for prefix, places in self.only:
            if header == prefix or (not prefix.endswith(".h") and header.startswith(prefix)):
                if any(path == p or path.startswith(p + "/") for p in places):
                    return None
                return "is only for " + ", ".join(places)
        if self.room(path)[1] <= 5 and header not in self.pure:
            return "brings in the world outside, or is not listed in floors.txt as pure"
        return None
