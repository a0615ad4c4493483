# Names and directories. Each script here sources it first.
# shellcheck shell=bash disable=SC2034
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trackyard/cgroup2
# The guest's packages besides a minimal Debian: libraries, and programs that Trackyard or the tests run.
guest_packages="runc libzmq5 libsodium23 libgcc-s1 ca-certificates busybox-static procps gcc libc6-dev"
# Packages for tests/cluster, and for what a test of the whole platform serves to its cluster.
guest_packages+=" containerd containernetworking-plugins nftables iptables ipset conntrack iproute2 ethtool socat bc"
guest_packages+=" openssl kmod docker-registry skopeo apache2-utils"
# The kernel modules of the initramfs, in the order of loading.
modules="virtio_pci virtio_blk overlay"

say() { printf 'cgroup2: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}
