#!/usr/bin/env python3
"""Rebuilds a folder as a power loss would leave it, and asks a checker about it.

    replay.py --log LOG --dir DIR [options] -- CHECKER [ARG …]

LOG is what shim.c wrote while a program worked on DIR. For points all along the log the folder is
rebuilt, several times each, at a scratch path: what was synced is there; of each other 512-byte
sector (a torn page keeps some of its sectors) any version since the last sync may be there; of the
names not synced by an fsync of their folder the first few, all or none are there. Then
`CHECKER [ARG …] FOLDER MARKS` runs; MARKS is a file with the marks made before that point, one a
line. Exit status 0 means that all these marks promised is there.

    --base DIR      what DIR held before the log began (default: it was not there)
    --acks FILE     more marks: lines "CLOCK_MONOTONIC-nanoseconds text", from another process
    --seed N        default: drawn, and printed
    --points N      at most so many points, drawn by the seed (default: all)
    --variants N    rebuilt folders at a point besides "nothing more" and "all" (default 4)
    --failures N    stop after so many (default 1)
    --keep DIR      where the folder of the last failure is left
    --scratch DIR   default: /dev/shm when it can be written, else the system's

Exit status: 0 every folder passed, 1 one did not, 2 the log cannot be used.
"""
import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

SECTOR = 512
PAGE = 4096
HEAD = struct.Struct("<IIQQQqQIIQ")
MAGIC = 0x4C50584E
(OPEN, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, LINK, MARK, UNSUPPORTED,
 SYNC_ALL) = range(1, 13)
CREATED, DSYNC, TRUNC, IS_DIR = 1, 2, 4, 8


class Unusable(Exception):
    pass


class Entry:
    __slots__ = ("kind", "start", "end", "handle", "offset", "flags", "path", "path2", "data")


def read_log(path):
    with open(path, "rb") as file:
        raw = file.read()
    entries, at = [], 0
    while at < len(raw):
        if at + HEAD.size > len(raw):
            break  # the program was killed while it wrote: the operation is then unlogged
        entry = Entry()
        (magic, entry.kind, entry.start, entry.end, entry.handle, entry.offset, entry.flags,
         path_len, path2_len, data_len) = HEAD.unpack_from(raw, at)
        if magic != MAGIC:
            raise Unusable(f"no entry at byte {at} of the log")
        at += HEAD.size
        if at + path_len + path2_len + data_len > len(raw):
            break
        entry.path = os.fsdecode(raw[at:at + path_len])
        entry.path2 = os.fsdecode(raw[at + path_len:at + path_len + path2_len])
        at += path_len + path2_len
        entry.data = raw[at:at + data_len]
        at += data_len
        if entry.kind == UNSUPPORTED:
            raise Unusable(f"the program used {entry.path}, which the log cannot follow")
        entries.append(entry)
    return entries


class File:
    """Bytes on disk, bytes as the program sees them, and each sector's versions in between."""

    def __init__(self, data=b""):
        self.disk = bytearray(data)
        self.now = bytearray(data)
        self.versions = {}
        self.sizes = []

    def sector(self, index):
        return bytes(self.now[index * SECTOR:(index + 1) * SECTOR]).ljust(SECTOR, b"\0")

    def touch(self, start, end):
        for index in range(start // SECTOR, (end + SECTOR - 1) // SECTOR):
            self.versions.setdefault(index, []).append(self.sector(index))

    def write(self, offset, data):
        end = offset + len(data)
        old = len(self.now)
        if end > old:
            self.now.extend(bytes(end - old))
            self.sizes.append(end)
            if offset > old:
                self.touch(old, offset)
        self.now[offset:end] = data
        self.touch(offset, end)

    def truncate(self, size):
        old = len(self.now)
        if size < old:
            del self.now[size:]
            self.touch(size, old)
        else:
            self.now.extend(bytes(size - old))
            self.touch(old, size)
        self.sizes.append(size)

    def put_disk(self, disk, index, content):
        end = (index + 1) * SECTOR
        if len(disk) < end:
            disk.extend(bytes(end - len(disk)))
        disk[index * SECTOR:end] = content

    def settle(self, start, end):
        """A range is on disk, as a write through O_DSYNC leaves it: with the size it needs."""
        size = max(len(self.disk), min(end, len(self.now)))
        for index in range(start // SECTOR, (end + SECTOR - 1) // SECTOR):
            self.put_disk(self.disk, index, self.sector(index))
            self.versions.pop(index, None)
        del self.disk[size:]

    def sync(self):
        self.disk = bytearray(self.now)
        self.versions.clear()
        self.sizes.clear()

    def pending(self):
        return bool(self.versions or self.sizes)

    def build(self, mode, rng):
        if mode == "all" or not self.pending():
            return bytes(self.now if mode == "all" else self.disk)
        if mode == "none":
            return bytes(self.disk)
        disk = bytearray(self.disk)
        size = len(disk)
        chance = {}
        odds = rng.choice((0.1, 0.5, 0.9))
        for index, versions in sorted(self.versions.items()):
            page = index * SECTOR // PAGE
            if page not in chance:
                # Most pages go whole; some are torn.
                torn = mode == "sectors" or rng.random() < 0.1
                chance[page] = None if torn else self.choose(versions, rng, odds)
            choice = self.choose(versions, rng, odds) if chance[page] is None else chance[page]
            if choice >= 0:
                self.put_disk(disk, index, versions[min(choice, len(versions) - 1)])
                size = max(size, min((index + 1) * SECTOR, len(self.now)))
        if self.sizes and rng.random() < 0.5:
            size = rng.choice(self.sizes)
        del disk[size:]
        disk.extend(bytes(size - len(disk)))
        return bytes(disk)

    @staticmethod
    def choose(versions, rng, odds):
        return rng.randrange(len(versions)) if rng.random() < odds else -1


class Folder:
    """Names on disk, names as the program sees them, and what was done to names in between."""

    def __init__(self, root, base):
        self.root = root
        self.names, self.disk = {}, {}  # path: File, or None for a folder
        self.pending = []  # (folders whose sync settles it, what it does to a table of names)
        self.handles = {}  # handle: path of a folder, or File
        if base:
            self.load(base)

    def load(self, base):
        self.names[self.root] = None
        for here, folders, files in os.walk(base):
            there = os.path.normpath(os.path.join(self.root, os.path.relpath(here, base)))
            for name in folders:
                self.names[os.path.join(there, name)] = None
            for name in files:
                with open(os.path.join(here, name), "rb") as file:
                    self.names[os.path.join(there, name)] = File(file.read())
        self.disk = dict(self.names)

    def do(self, paths, change):
        change(self.names)
        self.pending.append(({os.path.dirname(path) for path in paths}, change))

    def sync_folder(self, path):
        left = []
        for folders, change in self.pending:
            folders.discard(path)
            if folders:
                left.append((folders, change))
            else:
                change(self.disk)
        self.pending = left

    def apply(self, entry):
        kind, path, path2 = entry.kind, entry.path, entry.path2
        if kind == OPEN:
            self.open(entry)
        elif kind == WRITE:
            self.handles[entry.handle].write(entry.offset, entry.data)
        elif kind == TRUNCATE:
            self.handles[entry.handle].truncate(entry.offset)
        elif kind == SYNC:
            what = self.handles[entry.handle]
            if isinstance(what, File):
                what.sync()
            else:
                self.sync_folder(what)
        elif kind == SYNC_ALL:
            for what in self.names.values():
                if what:
                    what.sync()
            for _, change in self.pending:
                change(self.disk)
            self.pending = []
        elif kind == MKDIR:
            self.do([path], lambda names: names.__setitem__(path, None))
        elif kind in (UNLINK, RMDIR):
            self.do([path], lambda names: names.pop(path, None))
        elif kind in (RENAME, LINK):
            what = self.names.get(path)
            if what is None:
                raise Unusable(f"a folder or an unknown name was moved: {path}")
            self.do([path, path2], lambda names: (
                names.pop(path, None) if kind == RENAME else None,
                names.__setitem__(path2, what)))
        elif kind != MARK:
            raise Unusable(f"entry of unknown kind {kind}")

    def open(self, entry):
        path = entry.path
        if entry.flags & IS_DIR:
            self.handles[entry.handle] = path
            return
        if entry.flags & CREATED or path not in self.names:
            if not entry.flags & CREATED:
                raise Unusable(f"{path} was there before the log; give --base")
            what = File()
            self.do([path], lambda names: names.__setitem__(path, what))
        self.handles[entry.handle] = self.names[path]
        if entry.flags & TRUNC and self.names[path].now:
            self.names[path].truncate(0)

    def uncertain(self):
        return bool(self.pending) or any(what and what.pending() for what in self.names.values())

    def build(self, to, mode, rng):
        names = dict(self.disk)
        count = len(self.pending)
        kept = {"none": 0, "all": count}.get(mode, rng.randint(0, count))
        for _, change in self.pending[:kept]:
            change(names)
        for path in sorted(names):
            there = os.path.normpath(os.path.join(to, os.path.relpath(path, self.root)))
            if not os.path.isdir(os.path.dirname(there)):
                continue  # its folder is lost, so it is
            if names[path] is None:
                os.makedirs(there, mode=0o700, exist_ok=True)
            else:
                with open(there, "wb") as file:
                    file.write(names[path].build(mode, rng))


class Replay:
    def __init__(self, args, entries, acks):
        self.args, self.entries, self.acks = args, entries, acks
        self.scratch = tempfile.mkdtemp(prefix="nexus-powerloss-", dir=args.scratch)
        self.marks = []
        self.runs = self.failures = self.points = 0

    def check(self, folder, mode, point, before, seed):
        to = os.path.join(self.scratch, "folder")
        marks = os.path.join(self.scratch, "marks")
        shutil.rmtree(to, ignore_errors=True)
        rng = random.Random(seed)
        folder.build(to, mode, rng)
        with open(marks, "w", encoding="utf-8", errors="surrogateescape") as file:
            for text in self.marks + [text for at, text in self.acks if at < before]:
                file.write(text + "\n")
        self.runs += 1
        try:
            done = subprocess.run(self.args.checker + [to, marks], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=60, check=False)
            status, said = done.returncode, done.stdout.decode("utf-8", "replace")
        except subprocess.TimeoutExpired:
            status, said = "timeout", ""
        if status == 0:
            return
        self.failures += 1
        print(f"FAILED after entry {point} ({mode}, seed {seed!r}): {status}: {said.strip()[-500:]}")
        if self.args.keep:
            shutil.rmtree(self.args.keep, ignore_errors=True)
            folder.build(self.args.keep, mode, random.Random(seed))

    def point(self, folder, point, before):
        """A power loss after entry `point`, and before the time `before`."""
        self.points += 1
        modes = ["all"]
        if folder.uncertain():
            modes = ["none", "all"] + [("pages", "sectors")[i % 2] for i in range(self.args.variants)]
        for i, mode in enumerate(modes):
            self.check(folder, mode, point, before, f"{self.args.seed}-{point}-{i}")
            if self.failures >= self.args.failures:
                return

    def run(self):
        args, entries = self.args, self.entries
        folder = Folder(os.path.realpath(args.dir), args.base)
        chosen = [i for i, entry in enumerate(entries) if entry.kind not in (OPEN, MARK)]
        chosen += [-1, len(entries) - 1]
        if args.points and args.points < len(chosen):
            chosen = random.Random(args.seed).sample(chosen, args.points)
        chosen = set(chosen)
        if -1 in chosen:
            self.point(folder, -1, entries[0].start)
        for i, entry in enumerate(entries):
            after = entries[i + 1].start if i + 1 < len(entries) else 1 << 64
            if entry.kind == MARK:
                self.marks.append(entry.path)
            folder.apply(entry)
            if entry.kind == WRITE and entry.flags & DSYNC:
                if i in chosen:  # while it is being written
                    self.point(folder, i, entry.start)
                if self.failures < args.failures:
                    folder.handles[entry.handle].settle(
                        entry.offset, entry.offset + len(entry.data))
            if i in chosen and self.failures < args.failures:
                self.point(folder, i, after)
            if self.failures >= args.failures:
                break
        print(f"{len(entries)} entries, {self.points} points, {self.runs} folders, "
              f"{self.failures} failed")
        return 1 if self.failures else 0


def read_acks(path):
    acks = []
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            at, _, text = line.rstrip("\n").partition(" ")
            acks.append((int(at), text))
    return sorted(acks)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--log", required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--base")
    parser.add_argument("--acks")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--points", type=int, default=0)
    parser.add_argument("--variants", type=int, default=4)
    parser.add_argument("--failures", type=int, default=1)
    parser.add_argument("--keep")
    parser.add_argument("--scratch")
    parser.add_argument("checker", nargs="+")
    args = parser.parse_args()
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1 << 32)
    if args.scratch is None and os.access("/dev/shm", os.W_OK):
        args.scratch = "/dev/shm"
    print(f"seed {args.seed}", flush=True)
    try:
        entries = read_log(args.log)
        if not any(entry.kind == WRITE for entry in entries):
            raise Unusable("the log holds no write: nothing to check")
        replay = Replay(args, entries, read_acks(args.acks) if args.acks else [])
        try:
            return replay.run()
        finally:
            shutil.rmtree(replay.scratch, ignore_errors=True)
    except (Unusable, OSError) as problem:
        print(f"replay: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
