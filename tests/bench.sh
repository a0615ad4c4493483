#!/usr/bin/env bash
# Measures and writes the report to the given file. `make bench` builds what it runs.
set -euo pipefail
report=${1:?usage: bench.sh <report>}
root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)
"${root[@]}" "${CARGO_TARGET_DIR:-target}/release/trackyard-bench" >"$report.new"
mv "$report.new" "$report"
