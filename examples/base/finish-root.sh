#!/usr/bin/env bash
# Turns a root of freshly extracted packages into one that tooling can run in.
#
# Usage: finish-root.sh <root>        (build.sh runs it inside mmdebstrap)
#
# The packages' own installation scripts have not run: that keeps the base at a
# third of the usual size, and leaves these few things to do.
set -euo pipefail

root=${1:?usage: finish-root.sh <root>}

# The names behind the two ids that programs look up.
cat >"$root/etc/passwd" <<'PASSWD'
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
PASSWD
cat >"$root/etc/group" <<'GROUP'
root:x:0:
nogroup:x:65534:
GROUP

# Debian chooses awk among alternatives when it installs a package.
if [[ -e $root/usr/bin/mawk ]]; then
  ln -sf mawk "$root/usr/bin/awk"
fi

# The standard library is compiled now: a job's root is read-only, so that
# Python could never keep what it compiles. The files never change either, so
# nothing need be checked when they are loaded.
if [[ -e $root/usr/bin/python3 ]]; then
  for library in "$root"/usr/lib/python3.*; do
    chroot "$root" /usr/bin/python3 -m compileall -q \
      --invalidation-mode unchecked-hash \
      -x '/(test|idlelib|lib2to3|tkinter|pydoc_data)/' \
      "${library#"$root"}"
  done
fi

# What belongs to the machine that builds, or is only there to be read. (apt's
# own files are still in use here; build.sh leaves them out of the layer.)
rm -rf \
  "$root"/etc/{resolv.conf,hostname,fstab} \
  "$root"/usr/share/{bash-completion,i18n,info,lintian,locale,man,perl5,ri}
find "$root/usr/share/doc" ! -type d ! -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
