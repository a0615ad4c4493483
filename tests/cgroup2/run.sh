#!/usr/bin/env bash
# run.sh [sandbox|cluster]: runs tests on cgroup v2 alone, in a virtual machine: the hostile suite and a worker in a pod
# (sandbox), a whole Kubernetes cluster (cluster), or both. Exits as they did.
#
#   CGROUP2_SECONDS           the timeout of the whole run (7200)
#   TRACKYARD_PRODUCT_IMAGES  the directory of Trackyard's images for the cluster; `make test-cgroup2` sets it
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source=tests/cgroup2/common.sh
. "$(dirname "$0")/common.sh"
cd "$here/../.."
target=${CARGO_TARGET_DIR:-$PWD/target}
parts=${1:-sandbox cluster}
for part in $parts; do
  [[ $part =~ ^(sandbox|cluster)$ ]] || die "there is no part $part; name sandbox or cluster, or nothing for both"
done
tests=(sandbox_jobs hostile pod verdicts sandbox platform_groups)
with_cluster=false
[[ $parts != *cluster* ]] || with_cluster=true
if $with_cluster; then
  images=${TRACKYARD_PRODUCT_IMAGES:?names the directory of Trackyard\'s images; run \`make test-cgroup2\`}
  kubernetes=${TRACKYARD_CLUSTER_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/trackyard/cluster}
  "$here/../cluster/build.sh"
  "$here/../cluster/image/build.sh" "${cache%/*}/cluster-images"
fi

root=()
[ "$(id -u)" = 0 ] || root=(sudo -E)
"${root[@]}" "$here/machine.sh"
say 'compiling the programs and the tests'
# Build the whole workspace, as `make build` does; building a part would compile the dependencies again.
cargo build --quiet --workspace --all-targets --all-features --locked
programs=$(cargo test --quiet --workspace --all-features --locked --no-run --message-format=json |
  sed -nE 's/.*"executable":"([^"]+)".*/\1/p')

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/disk/bin"
echo "$parts" >"$stage/disk/parts"
cp -r "$here/guest" "$stage/disk/"
cp "$target"/debug/trackyard-{router,worker} "$stage/disk/bin/"
for name in "${tests[@]}"; do
  program=$(grep -E "/deps/$name-[0-9a-f]{16}\$" <<<"$programs") || die "the test $name was not compiled"
  cp "$program" "$stage/disk/bin/$name"
done
strip --strip-debug "$stage"/disk/bin/*
if $with_cluster; then
  # The tests look for the repository in the directory in which they were compiled.
  echo "$PWD" >"$stage/disk/repository-path"
  mkdir -p "$stage"/disk/{cluster,images,repository/tests,repository/examples}
  cp -r charts "$stage/disk/repository/"
  cp -r tests/cluster "$stage/disk/repository/tests/"
  cp -r examples/base "$stage/disk/repository/examples/"
  cp "$kubernetes"/{kube,coredns,helm,.built} "$stage/disk/cluster/"
  cp -r "${cache%/*}/cluster-images" "$stage/disk/"
  cp "$images"/*.tar "$stage/disk/images/"
fi
truncate -s 4G "$stage/tests.ext4"
mkfs.ext4 -q -F -d "$stage/disk" "$stage/tests.ext4"
say 'booting'
"$here/boot.sh" "$stage/tests.ext4" "${CGROUP2_SECONDS:-7200}"
