# Names and directories; the scripts here begin with it.
# shellcheck shell=bash disable=SC2034
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trackyard/cgroup2
# What the guest has besides a minimal Debian: what the programs load, what they run, what the tests call.
guest_packages="runc libzmq5 libsodium23 libgcc-s1 ca-certificates busybox-static procps gcc libc6-dev"
# What tests/cluster needs, and what a test of the whole platform serves to its cluster.
guest_packages+=" containerd containernetworking-plugins nftables iptables ipset conntrack iproute2 ethtool socat bc"
guest_packages+=" openssl kmod docker-registry skopeo apache2-utils"
# Those of the initramfs, in the order in which they can be loaded.
modules="virtio_pci virtio_blk overlay"

say() { printf 'cgroup2: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
