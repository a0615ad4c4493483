#!/usr/bin/env bash
# check.sh NAME: checks whether a cluster can run on this machine. If not, prints why and what to do, in one line. Changes
# nothing.
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
    # In a container, the top of the cgroup namespace is an ordinary group: while it has processes, it cannot enable
    # controllers.
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
# Each check runs in a network namespace of its own, which is removed with the command.
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

# The nearest existing directory above $state.
dir=$state
until [ -d "$dir" ]; do dir=$(dirname "$dir"); done
remedy='set TRACKYARD_CLUSTERS to a directory on another disk'
[ "$(stat --file-system --format=%T "$dir")" != overlayfs ] ||
  refuse "$dir is on an overlay file system, on which containers cannot have theirs" "$remedy"
read -r size free < <(df --output=size,avail --block-size=1M "$dir" | tail -n 1)
# The kubelet evicts pods when less than one percent is free.
needed=$((2048 + size / 100))
[ "$free" -ge "$needed" ] || refuse "$dir has $free MiB of free disk, and $needed MiB are needed" "free some, or $remedy"
