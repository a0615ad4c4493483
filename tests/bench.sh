#!/usr/bin/env bash
# bench.sh REPORT: runs the benchmarks and writes the report to that file. Run it by `make bench`, which builds the programs.
set -euo pipefail
report=${1:?usage: bench.sh REPORT}
root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)
"${root[@]}" "${CARGO_TARGET_DIR:-target}/release/trackyard-bench" >"$report.new"
mv "$report.new" "$report"
