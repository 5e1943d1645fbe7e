#!/usr/bin/env python3
"""tests/e2e/power_loss.py with a load three times as large and time for every point of its log: about twenty
minutes, fifty at most."""
# timeout: 3600
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
defaults = {"POWER_LOSS_SECONDS": "1500", "POWER_LOSS_STEPS": "80", "POWER_LOSS_VARIANTS": "4"}
sys.exit(subprocess.run([sys.executable, os.path.join(HERE, "..", "e2e", "power_loss.py")], env=dict(defaults, **os.environ),
                        timeout=3500, check=False).returncode)
