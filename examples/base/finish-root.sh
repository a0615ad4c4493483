#!/usr/bin/env bash
# Prepares a root of freshly extracted packages for tooling to run in.
#
# Usage: finish-root.sh <root>        (build.sh runs it inside mmdebstrap)
#
# The packages' installation scripts have not run. This keeps the base at a third
# of the usual size, but leaves these steps to do.
set -euo pipefail

root=${1:?usage: finish-root.sh <root>}

# The names of the two ids that programs look up.
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

# Compile the standard library now: a job's root is read-only, so Python could
# never save what it compiles. The files never change, so Python need not check
# them when it loads them.
if [[ -e $root/usr/bin/python3 ]]; then
  for library in "$root"/usr/lib/python3.*; do
    chroot "$root" /usr/bin/python3 -m compileall -q \
      --invalidation-mode unchecked-hash \
      -x '/(test|idlelib|lib2to3|tkinter|pydoc_data)/' \
      "${library#"$root"}"
  done
fi

# Remove what belongs to the building machine, and documentation. (apt's own
# files are still in use; build.sh leaves them out of the layer.)
rm -rf \
  "$root"/etc/{resolv.conf,hostname,fstab} \
  "$root"/usr/share/{bash-completion,i18n,info,lintian,locale,man,perl5,ri}
find "$root/usr/share/doc" ! -type d ! -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
