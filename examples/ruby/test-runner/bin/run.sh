#!/usr/bin/env bash
# Runs an exercise's tests on a submission and writes results.json.
#
# Usage: bin/run.sh <exercise-slug> <input-dir> <output-dir>
set -euo pipefail

if (($# != 3)); then
  echo "usage: bin/run.sh <exercise-slug> <input-dir> <output-dir>" >&2
  exit 64
fi
# The script may be started from any directory, in the image or in a checkout.
home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

exec ruby "$home/lib/run_tests.rb" "$@"
