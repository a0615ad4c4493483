#!/usr/bin/env bash
# chaos.sh REPORT: runs the long chaos suite, first on the simulated core, then on the real processes. Replaces the figures
# in the report if all runs passed, no seed was chosen and the number of jobs was not reduced. Run it by `make chaos`,
# which builds the programs.
set -euo pipefail
report=${1:?usage: chaos.sh REPORT}
target=${CARGO_TARGET_DIR:-target}
default_jobs=20000
jobs=${CHAOS_JOBS:-$default_jobs}
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
if [ -n "${CHAOS_SEED:-}" ] || [ "$jobs" -lt "$default_jobs" ]; then exit 0; fi
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
