#!/usr/bin/env bash
# builders.sh DIRECTORY: compiles the image builders `img`, `buildctl` and `buildkitd` into the directory, from the Go
# modules beside this script. A builder is compiled again only if its module or its flags have changed.
set -euo pipefail
tools=${1:?usage: builders.sh DIRECTORY}
cd "$(dirname "$0")"
PATH="$PATH:/usr/local/go/bin"
say() { printf 'builders: %s\n' "$*" >&2; }
command -v go >/dev/null || {
  say 'go is missing. Install Go 1.26 or newer (https://go.dev/dl), then run this again.'
  exit 1
}

# compile MODULE NAME PACKAGE FLAG...
compile() {
  local module=$1 name=$2 package=$3 stamp
  shift 3
  stamp="$tools/$name.$({ cat "$module/go.mod"; echo "$@"; } | sha256sum | cut -c1-12)"
  [ -x "$tools/$name" ] && [ -e "$stamp" ] && return
  say "compiling $name (one to three minutes, once) into $tools"
  mkdir -p "$tools"
  go build -C "$module" -mod=readonly -buildvcs=false -trimpath "$@" -o "$(realpath "$tools")/$name" "$package"
  : >"$stamp"
}

compile img img github.com/genuinetools/img -tags 'osusergo dfrunmount dfsecrets dfssh noembed' \
  -ldflags '-s -w -X github.com/genuinetools/img/version.VERSION=v0.5.11'
version=$(awk '$1 == "github.com/moby/buildkit" { print $2 }' buildkit/go.mod)
for name in buildctl buildkitd; do
  CGO_ENABLED=0 compile buildkit "$name" "github.com/moby/buildkit/cmd/$name" -tags osusergo,netgo \
    -ldflags "-s -w -X github.com/moby/buildkit/version.Version=$version"
done
