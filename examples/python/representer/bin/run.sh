#!/usr/bin/env bash
# Normalizes a submission and writes representation.txt and mapping.json.
#
# Usage: bin/run.sh <exercise-slug> <input-dir> <output-dir>
set -euo pipefail

if (($# != 3)); then
  echo "usage: bin/run.sh <exercise-slug> <input-dir> <output-dir>" >&2
  exit 64
fi
# The script may be started from any directory, in the image or in a checkout.
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

exec python3 -B "$home/lib/represent.py" "$@"
