#!/usr/bin/env python3
"""The store under power loss: first three stores broken on purpose, which must be caught, then the
real one, which must pass.

    store_test.py SHIM STORE_WORK REPLAY [--units N] [--points N] [--seed N]
"""
import argparse
import os
import random
import subprocess
import sys
import tempfile


def record(args, root, broken):
    folder, log = os.path.join(root, "data"), os.path.join(root, "log")
    environment = dict(os.environ, LD_PRELOAD=os.path.abspath(args.shim), NX_POWERLOSS_DIR=folder,
                       NX_POWERLOSS_LOG=log)
    subprocess.run([args.work, "work", folder, str(args.units)] + ([broken] if broken else []),
                   env=environment, timeout=120, check=True)
    return folder, log


def replay(args, folder, log, points):
    command = [sys.executable, args.replay, "--log", log, "--dir", folder, "--seed", str(args.seed),
               "--points", str(points), "--", args.work, "check"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900,
                          check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace").strip()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shim")
    parser.add_argument("work")
    parser.add_argument("replay")
    parser.add_argument("--units", type=int, default=300)
    parser.add_argument("--points", type=int, default=120)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    args = parser.parse_args()
    failed = 0
    for broken in ("nosync", "nometasync", "nodirsync", None):
        with tempfile.TemporaryDirectory(prefix="nexus-powerloss-") as root:
            folder, log = record(args, root, broken)
            status, said = replay(args, folder, log, args.points)
        wanted = 1 if broken else 0
        print(f"{broken or 'the real store'}: {'as it must' if status == wanted else 'WRONG'}: "
              f"{said}", flush=True)
        failed += status != wanted
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
