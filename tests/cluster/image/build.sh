#!/usr/bin/env bash
# build.sh FOLDER: the images that a cluster itself needs, as tar files; nothing if they are there.
#   pause    holds a pod's namespaces
#   busybox  a shell, for tests
set -euo pipefail
cd "$(dirname "$0")"
into=$1
key=$(cat pause.c mkimage.py build.sh | sha256sum | cut -c1-16)
[ "$(cat "$into/.built" 2>/dev/null || true)" != "$key" ] || exit 0
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$into" "$root/pause" "$root/busybox"/{bin,etc,tmp,var,run,proc,sys,dev,root}

cc -Os -static -s -o "$root/pause/pause" pause.c
python3 mkimage.py "$into/pause.tar" cluster.local/pause:1 "$root/pause" /pause

cp /bin/busybox "$root/busybox/bin/busybox"
for name in $("$root/busybox/bin/busybox" --list); do
  [ "$name" = busybox ] || ln -s busybox "$root/busybox/bin/$name"
done
echo root:x:0:0:root:/root:/bin/sh >"$root/busybox/etc/passwd"
echo root:x:0: >"$root/busybox/etc/group"
python3 mkimage.py "$into/busybox.tar" cluster.local/busybox:1 "$root/busybox" /bin/sh
echo "$key" >"$into/.built"
