#!/usr/bin/env bash
# freeze.sh BINARIES NUMBER: stores this release (its charts, and the programs in BINARIES) as
# tests/fixtures/releases/NUMBER. A test installs it, and then upgrades to the release under test.
set -euo pipefail
binaries=$(realpath "$1")
cd "$(dirname "$0")/.."
release=tests/fixtures/releases/$2
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT
for program in trackyard trackyard-router trackyard-operator trackyard-worker; do
  strip --strip-all -o "$programs/$program" "$binaries/$program"
done
rm -rf "$release"
mkdir -p "$release"
cp -r charts/trackyard charts/trackyard-crds "$release/"
rm -rf "$release/trackyard/ci"
tar --create --sort=name --owner=0 --group=0 --mtime=@0 --directory "$programs" . | xz -9e >"$release/programs.tar.xz"
du -sh "$release" >&2
