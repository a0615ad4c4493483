# Names and folders; the scripts here begin with it.
# shellcheck shell=bash disable=SC2034
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trackyard/cgroup2
# What the guest has besides a minimal Debian: what the programs load, what they run, what the tests call.
guest_packages="runc libzmq5 libsodium23 libgcc-s1 ca-certificates busybox-static procps gcc libc6-dev"
# In the order in which they can be loaded.
modules="virtio_pci virtio_blk overlay"

say() { printf 'cgroup2: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
