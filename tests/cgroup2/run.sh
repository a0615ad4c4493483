#!/usr/bin/env bash
# run.sh: runs the hostile suite, and a worker in a pod, on pure control groups of version 2, in a virtual machine. Ends
# as they did. CGROUP2_SECONDS is how long they may take in all (3600).
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source=tests/cgroup2/common.sh
. "$(dirname "$0")/common.sh"
cd "$here/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}

root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)
"${root[@]}" "$here/machine.sh"
say 'compiling what is tested'
cargo build --quiet --all-features --locked -p trackyard-router -p trackyard-worker --bins
programs=$(cargo test --quiet --all-features --locked --no-run --message-format=json \
  -p trackyard-worker --test sandbox_jobs -p e2e --test pod --test verdicts --test sandbox --test hostile |
  sed -nE 's/.*"executable":"([^"]+)".*/\1/p')

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/disk/bin"
cp -r "$here/guest" "$stage/disk/"
cp "$target"/debug/trackyard-{router,worker} "$stage/disk/bin/"
for program in $programs; do
  name=${program##*/}
  # Those that the tests were compiled with may come too.
  [ "${program%/*}" != "$target/debug/deps" ] || cp "$program" "$stage/disk/bin/${name%-*}"
done
strip --strip-debug "$stage"/disk/bin/*
truncate -s 1G "$stage/tests.ext4"
mkfs.ext4 -q -F -d "$stage/disk" "$stage/tests.ext4"
say 'booting'
"$here/boot.sh" "$stage/tests.ext4" "${CGROUP2_SECONDS:-3600}"
