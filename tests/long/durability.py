#!/usr/bin/env python3
# timeout: 1800
"""The kill -9 loop of tests/e2e/durability.py, many times over: about ten minutes."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
environment = dict(os.environ, DURABILITY_ROUNDS=os.environ.get("DURABILITY_ROUNDS", "150"))
sys.exit(
    subprocess.run([
        sys.executable,
        os.path.join(HERE, "..", "e2e", "durability.py"), "Killed", "KilledWithDurableMessages"
    ], env=environment, timeout=1800, check=False).returncode)
