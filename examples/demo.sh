#!/usr/bin/env bash
# demo.sh: from a checkout to verdicts. Installs what is missing, compiles the programs, builds tooling images from git
# repositories with a real builder, and runs every example submission through router, workers and runc. `make demo` is the
# entry.
#
# PROGRAMS         a directory with trackyard, trackyard-router and trackyard-worker, to use instead of compiling them
# TRACKYARD_CACHE  where the base of each track is kept, and the images are left (~/.cache/trackyard)
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${TRACKYARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trackyard}
demo=$cache/demo
target=${CARGO_TARGET_DIR:-target}
programs=${PROGRAMS:-$target/quick}
# Jobs run in namespaces and cgroups of their own, which only root can make.
root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)

number=0
# step WHAT DURATION: says what begins, and how long it takes.
step() {
  number=$((number + 1))
  printf 'demo: %s/5  %s (%s)\n' "$number" "$1" "$2" >&2
}
took() { printf '%d min %02d s' $((SECONDS / 60)) $((SECONDS % 60)); }
trap '[ $? = 0 ] || echo "demo: failed in step $number/5 after $(took)" >&2' EXIT

step 'setting up what the demo needs' 'a second; about 20 seconds if packages are missing'
.ci/setup demo

if [ -n "${PROGRAMS:-}" ]; then
  step "taking the programs in $programs" 'at once'
else
  duration='about 2 minutes on two processors, the first time'
  [ ! -e "$programs/trackyard" ] || duration='some seconds, unless the code has changed'
  step 'compiling router, worker and command line' "$duration"
  # Cargo draws a counter of crates on a terminal; elsewhere it would write a line for each.
  quiet=()
  [ -t 2 ] || quiet=(--quiet)
  # A newer compiler may warn of more. That stops a developer, and no user.
  RUSTFLAGS="${RUSTFLAGS:-} --cap-lints=warn" CARGO_TARGET_DIR=$target \
    cargo build "${quiet[@]}" --profile quick --locked --no-default-features \
    -p trackyard-router -p trackyard-worker -p trackyard --bins
fi

step 'making git repositories of tooling for Python and Ruby' 'about 15 seconds, the first time'
"${root[@]}" rm -rf "$demo"
mkdir -p "$demo"
examples/build.sh --also-next python --repositories "$demo/repositories" "$cache" >"$demo/builds"

step 'building five images from them, in a cage, with buildah' 'about 20 seconds'
mapfile -t builds <"$demo/builds"
"${root[@]}" "$programs/trackyard" local build --repositories "$demo/repositories" --images "$demo/images" \
  --driver buildah "${builds[@]}"

step 'running the example submissions in containers' 'about 15 seconds'
"${root[@]}" "$programs/trackyard" local demo --examples examples --images "$demo/images"
echo "demo: done in $(took)" >&2
