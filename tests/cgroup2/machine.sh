#!/usr/bin/env bash
# machine.sh: makes the virtual machine's kernel, initramfs and disk (vmlinuz, initramfs.gz, base.ext4) in the cache, from
# Debian's packages, once. Remove that directory to get newer packages.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source=tests/cgroup2/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=examples/base/sources.sh
. "$here/../../examples/base/sources.sh"

needs=(
  'qemu-system-x86_64 qemu-system-x86'
  'mmdebstrap mmdebstrap'
  'cpio cpio'
  'modprobe kmod'
  'mkfs.ext4 e2fsprogs'
  '/bin/busybox busybox-static'
)

install_missing() {
  local missing=() need probe package
  for need in "${needs[@]}"; do
    read -r probe package <<<"$need"
    [ -e "$probe" ] || command -v "$probe" >/dev/null || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Downloads and unpacks Debian's kernel for virtual machines, without installing it here.
make_kernel() {
  local package
  package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  [ -n "$package" ] || die 'apt has no package linux-image-cloud-amd64; run apt-get update, on Debian'
  version=${package#linux-image-}
  say "getting the kernel $version"
  (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package")
  dpkg -x "$work"/linux-image-*.deb "$work/kernel"
  depmod -b "$work/kernel" "$version"
  cp "$work/kernel/boot/vmlinuz-$version" "$work/vmlinuz"
}

# Makes a small initramfs, which loads fast: a shell, a few modules, and a script that boots from the disk.
make_initramfs() {
  local root=$work/initramfs module path
  mkdir -p "$root"/{bin,dev,proc,sys,root,modules}
  cp /bin/busybox "$root/bin/busybox"
  cp "$here/guest/init.sh" "$root/init"
  chmod 755 "$root/init"
  for module in $modules; do
    modprobe -d "$work/kernel" -S "$version" --show-depends "$module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r path; do
    cp "$path" "$root/modules/"
    basename "$path" >>"$root/modules/order"
  done
  (cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$work/initramfs.gz"
}

# Makes the guest's disk without mounting it.
make_base() {
  local codename sources
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  mapfile -t sources < <(package_sources)
  say "making a Debian $codename of ${guest_packages// /, } (a minute, once)"
  mmdebstrap --quiet --variant=minbase --format=directory --skip=output/dev --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include="${guest_packages// /,}" "$codename" "$work/tree" "${sources[@]}" >&2
  mkdir -p "$work/tree/tests"
  # The kernel loads the modules for a cluster's network by itself.
  cp -r "$work/kernel/lib/modules" "$work/tree/usr/lib/"
  truncate -s 10G "$work/base.ext4"
  mkfs.ext4 -q -F -d "$work/tree" -O ^has_journal "$work/base.ext4"
}

[ "$(id -u)" = 0 ] || die 'run it as root'
[ "$(uname -m)" = x86_64 ] || die "this runs only on x86_64, not on $(uname -m)"
key=$(cat "$0" "$here/common.sh" "$here/guest/init.sh" /etc/os-release | sha256sum | cut -c1-16)
[ "$(cat "$cache/.made" 2>/dev/null || true)" != "$key" ] || exit 0
install_missing
mkdir -p "$cache"
work=$(mktemp -d "$cache/work.XXXXXX")
trap 'rm -rf "$work"' EXIT
make_kernel
make_initramfs
make_base
mv "$work"/{vmlinuz,initramfs.gz,base.ext4} "$cache/"
echo "$key" >"$cache/.made"
