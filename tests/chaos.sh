#!/usr/bin/env bash
# The chaos suite's long form: the simulated core, then the real processes. The figures replace those in the given file,
# if all went well, no seed was chosen and the run was a long one. `make chaos` builds what it runs.
set -euo pipefail
report=${1:?usage: chaos.sh <report>}
target=${CARGO_TARGET_DIR:-target}
long=20000
jobs=${CHAOS_JOBS:-$long}
figures=$(mktemp -d)
trap 'rm -rf "$figures"' EXIT
root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)

if [ -z "${CHAOS_SEED:-}" ]; then
    SIMULATION_JOBS=${CHAOS_SIMULATED_JOBS:-1000000} SIMULATION_SEEDS=$RANDOM..0 SIMULATION_REPORT=$figures/simulated \
        cargo test --workspace --all-features --locked --test simulation -- --nocapture each_job_ends
fi
"${root[@]}" "$target/debug/trackyard-chaos" "$jobs" ${CHAOS_SEED:+"$CHAOS_SEED"} >"$figures/real" || {
    cat "$figures/real"
    exit 1
}
cat "$figures/real"
if [ -n "${CHAOS_SEED:-}" ] || [ "$jobs" -lt "$long" ]; then exit 0; fi
{
    sed '/^<!-- figures/,$d' "$report"
    echo "<!-- figures: written by make chaos, from here to the end -->"
    echo "### The simulated core"
    echo
    cat "$figures/simulated"
    echo
    echo "### The real processes"
    echo
    cat "$figures/real"
} >"$report.new"
mv "$report.new" "$report"
