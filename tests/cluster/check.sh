#!/usr/bin/env bash
# check.sh NAME: changes nothing; where a cluster cannot run on this machine, says in one line why not and what to do.
set -euo pipefail
. "$(dirname "$0")/common.sh"
refuse() {
  say "cannot run on this machine: $1; $2"
  exit 1
}

[ "$(id -u)" = 0 ] || refuse 'it makes namespaces and cgroups' 'run it as root'

for program in containerd runc docker-registry nft iptables ipset conntrack ip ethtool socat bc openssl nsenter unshare; do
  command -v "$program" >/dev/null || PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null ||
    refuse "the program $program is missing" 'run: make setup'
done
[ -e /usr/lib/cni/bridge ] || refuse 'the CNI plugins are missing in /usr/lib/cni' 'run: make setup'

if cgroup2_alone; then
  top=/sys/fs/cgroup
  for controller in cpu cpuset memory pids; do
    grep -qw "$controller" $top/cgroup.controllers ||
      refuse "$top has no cgroup controller $controller" \
        "remove cgroup_disable=$controller from the kernel's command line, or run this outside of a container"
    # The top of a container's cgroup namespace is an ordinary group, which a process in it bars from doing this.
    if [ -e $top/cgroup.type ] && [ -n "$(cat $top/cgroup.procs)" ] && ! grep -qw "$controller" $top/cgroup.subtree_control; then
      refuse "$top cannot enable the controller $controller, because processes are in that group" \
        'run this outside of a container'
    fi
  done
else
  for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
    grep -q "^cgroup /sys/fs/cgroup/[^ ]* cgroup [^ ]*\b$controller\b" /proc/self/mounts ||
      refuse "no cgroup v1 hierarchy with the controller $controller is mounted below /sys/fs/cgroup" \
        "remove cgroup_disable=$controller from the kernel's command line, or boot with cgroup v2 alone"
  done
fi

grep -qw overlay /proc/filesystems || modprobe --dry-run --quiet overlay ||
  refuse 'the kernel has no overlay file system' 'install a kernel with the module overlay'
# Each is tried in a network of its own, which goes with the command.
network() { unshare --net "$@" >/dev/null 2>&1; }
network ip link add node0 type veth peer name node1 || refuse 'the kernel has no veth' 'install a kernel with the module veth'
network ip link add bridge0 type bridge || refuse 'the kernel has no bridge' 'install a kernel with the module bridge'
network cat /proc/sys/net/bridge/bridge-nf-call-iptables ||
  refuse 'the kernel does not filter what passes a bridge' 'run: modprobe br_netfilter'
network nft add table ip probe || refuse 'the kernel has no nftables' 'install a kernel with the module nf_tables'
network ipset create probe hash:net || refuse 'the kernel has no ipset' 'install a kernel with the modules ip_set and ip_set_hash_net'
network iptables --append INPUT --match conntrack --ctstate NEW --match physdev --physdev-is-bridged --match comment \
  --comment probe --jump ACCEPT ||
  refuse 'iptables cannot do what network policies need' \
    'install a kernel with the modules nft_compat, xt_conntrack, xt_physdev and xt_comment'

# The nearest directory that exists.
place=$state
until [ -d "$place" ]; do place=$(dirname "$place"); done
elsewhere='name a directory on another disk in TRACKYARD_CLUSTERS'
[ "$(stat --file-system --format=%T "$place")" != overlayfs ] ||
  refuse "$place is on an overlay, which cannot hold the overlays of containers" "$elsewhere"
read -r size free < <(df --output=size,avail --block-size=1M "$place" | tail -n 1)
# The kubelet evicts pods when less than one percent is free.
needed=$((2048 + size / 100))
[ "$free" -ge "$needed" ] || refuse "$place has $free MiB left of the $needed MiB that it needs" "free some, or $elsewhere"
