#!/usr/bin/env bash
# demo.sh: runs the demo from a checkout. Installs missing packages, compiles the programs, builds tooling images from git
# repositories with a real builder, and runs all example submissions with a router, workers and runc. Run it by
# `make demo`.
#
# PROGRAMS         a directory with trackyard, trackyard-router and trackyard-worker, to use instead of compiling them
# TRACKYARD_CACHE  the directory in which the bases and the images are kept (~/.cache/trackyard)
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${TRACKYARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trackyard}
demo=$cache/demo
target=${CARGO_TARGET_DIR:-target}
programs=${PROGRAMS:-$target/quick}
# Only root can make the namespaces and cgroups in which jobs run.
root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)

number=0
# step NAME DURATION: prints the name of the step that begins, and how long it takes.
step() {
  number=$((number + 1))
  printf 'demo: %s/5  %s (%s)\n' "$number" "$1" "$2" >&2
}
elapsed() { printf '%d min %02d s' $((SECONDS / 60)) $((SECONDS % 60)); }
trap '[ $? = 0 ] || echo "demo: failed in step $number/5 after $(elapsed)" >&2' EXIT

step 'installing what the demo needs' 'a second; about 20 seconds if packages are missing'
.ci/setup demo

if [ -n "${PROGRAMS:-}" ]; then
  step "using the programs in $programs" 'at once'
else
  duration='about 2 minutes on two processors, the first time'
  [ ! -e "$programs/trackyard" ] || duration='some seconds, unless the code has changed'
  step 'compiling router, worker and command line' "$duration"
  # On a terminal, cargo shows a progress bar; elsewhere it would print a line for each crate.
  quiet=()
  [ -t 2 ] || quiet=(--quiet)
  # New warnings of a newer compiler must not stop the demo.
  RUSTFLAGS="${RUSTFLAGS:-} --cap-lints=warn" CARGO_TARGET_DIR=$target \
    cargo build "${quiet[@]}" --profile quick --locked --no-default-features \
    -p trackyard-router -p trackyard-worker -p trackyard --bins
fi

step 'making git repositories of the Python and Ruby tooling' 'about 15 seconds, the first time'
"${root[@]}" rm -rf "$demo"
mkdir -p "$demo"
examples/build.sh --also-next python --repositories "$demo/repositories" "$cache" >"$demo/builds"

step 'building five images from them with buildah, in a sandbox' 'about 20 seconds'
mapfile -t builds <"$demo/builds"
"${root[@]}" "$programs/trackyard" local build --repositories "$demo/repositories" --images "$demo/images" \
  --driver buildah "${builds[@]}"

step 'running the example submissions in containers' 'about 15 seconds'
"${root[@]}" "$programs/trackyard" local demo --examples examples --images "$demo/images"
echo "demo: done in $(elapsed)" >&2
