#!/usr/bin/env bash
# build.sh DIR: makes the images of a cluster and of its tests, as tar files, unless they exist:
#   pause    holds a pod's namespaces
#   busybox  a shell
#   client   a client in Python with ZeroMQ
set -euo pipefail
cd "$(dirname "$0")"
out=$1
key=$(cat pause.c mkimage.py build.sh client.py | sha256sum | cut -c1-16)
[ "$(cat "$out/.built" 2>/dev/null || true)" != "$key" ] || exit 0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$out" "$root/pause" "$root/client" "$root/busybox"/{bin,etc,tmp,var,run,proc,sys,dev,root}
die() { echo "image: $*" >&2 && exit 1; }
# shellcheck source=examples/base/sources.sh
. ../../../examples/base/sources.sh

cc -Os -static -s -o "$root/pause/pause" pause.c
python3 mkimage.py "$out/pause.tar" cluster.local/pause:1 "$root/pause" /pause

cp /bin/busybox "$root/busybox/bin/busybox"
for name in $("$root/busybox/bin/busybox" --list); do
  [ "$name" = busybox ] || ln -s busybox "$root/busybox/bin/$name"
done
echo root:x:0:0:root:/root:/bin/sh >"$root/busybox/etc/passwd"
echo root:x:0: >"$root/busybox/etc/group"
python3 mkimage.py "$out/busybox.tar" cluster.local/busybox:1 "$root/busybox" /bin/sh

mapfile -t sources < <(package_sources)
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016  # mmdebstrap's shell expands $1, not ours
mmdebstrap --quiet --variant=extract --format=tar --skip=output/dev --include=python3,python3-zmq,coreutils,bash,base-files \
  --aptopt='Acquire::Languages "none"' \
  --setup-hook='for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; ln -s "usr/$d" "$1/$d"; done' \
  "$codename" "$root/client.tar" "${sources[@]}"
tar --extract --file="$root/client.tar" --directory="$root/client" --exclude='./var/*' --exclude='./usr/share/doc/*'
cp client.py "$root/client/client.py"
python3 mkimage.py "$out/client.tar" cluster.local/client:1 "$root/client" /usr/bin/python3 /client.py
echo "$key" >"$out/.built"
