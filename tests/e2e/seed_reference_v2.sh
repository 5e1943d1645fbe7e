#!/usr/bin/env bash
# The API reference of the seed, under the spelling of generation 2.
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/seed_reference.sh" 2
