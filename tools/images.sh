#!/usr/bin/env bash
# images.sh BINARIES OUT: builds Trackyard's images from the Dockerfile with buildah, and writes each to OUT/<name>.tar, for
# `docker load` and `ctr images import`. Does nothing if the images are up to date.
#
#   BINARIES   the directory of the compiled programs
#   BASE       the Debian base image; if not set, one is made from this machine's package sources
#   TAG        the images' tag; if not set, the project's version
#   STRIP=1    removes the programs' debug symbols
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binaries=$1
out=$2
cache=${TRACKYARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/trackyard}
tools=${TRACKYARD_TOOLS:-$HOME/.cache/trackyard/tools}
tag=${TAG:-$(sed -n 's/^version = "\(.*\)"$/\1/p' "$here/../Cargo.toml" | head -1)}
programs=(trackyard trackyard-router trackyard-operator trackyard-worker)
say() { printf 'images: %s\n' "$*" >&2; }

die() {
  say "$*"
  exit 1
}

# shellcheck source=tools/packages
. "$here/packages"
# shellcheck source=examples/base/sources.sh
. "$here/../examples/base/sources.sh"
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
store=$cache/containers
buildah() {
  command buildah --root "$store/storage" --runroot "$store/run" --storage-driver overlay "$@"
}
# Prints the name of the base image, and makes it if it does not exist.
base_image() {
  local name key tar sources
  key=$(echo "$LIBRARIES $WORKER $codename" | sha256sum | cut -c1-12)
  name=localhost/trackyard-base:$key
  if ! buildah inspect --type image "$name" >/dev/null 2>&1; then
    say "making a base from Debian's packages (a minute, once)"
    tar=$(mktemp --suffix=.tar)
    mapfile -t sources < <(package_sources)
    mmdebstrap --quiet --variant=minbase --skip=output/dev --aptopt='Acquire::Languages "none"' \
      --include="${LIBRARIES// /,},${WORKER// /,}" "$codename" "$tar" "${sources[@]}" >&2
    buildah from --name trackyard-base scratch >/dev/null
    buildah add --quiet trackyard-base "$tar" / >/dev/null
    buildah commit --quiet --rm trackyard-base "$name" >/dev/null
    rm "$tar"
  fi
  echo "$name"
}

key=$({ cat "$here/../Dockerfile" "$here/packages" "$0"; echo "$tag ${BASE:-} ${STRIP:-}"
  for program in "${programs[@]}"; do sha256sum "$binaries/$program"; done; } | sha256sum | cut -c1-16)
[ "$(cat "$out/.built" 2>/dev/null || true)" != "$key" ] || exit 0
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context"/{bin,tools} "$out"
cp "$here/packages" "$context/"
for program in "${programs[@]}"; do
  cp "$binaries/$program" "$context/bin/"
  [ -z "${STRIP:-}" ] || strip --strip-debug "$context/bin/$program"
done
for tool in buildctl buildkitd img; do cp "$tools/$tool" "$context/tools/"; done
base=${BASE:-$(base_image)}
for pair in operator:operator router:router cli:cli worker-agent:worker; do
  name=trackyard-${pair#*:}
  say "building $name:$tag"
  buildah bud --quiet --isolation chroot --layers --build-arg "BASE=$base" --target "${pair%:*}" \
    --file "$here/../Dockerfile" --tag "localhost/$name:$tag" "$context" >/dev/null
  rm -f "$out/$name.tar"
  buildah push --quiet "localhost/$name:$tag" "docker-archive:$out/$name.tar:localhost/$name:$tag"
done
# Remove the layers of earlier builds, which would fill the disk.
buildah rmi --prune --force >/dev/null 2>&1 || say 'cannot remove old layers'
echo "$key" >"$out/.built"
