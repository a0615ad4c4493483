# Names and directories of the cluster $1. Each script here sources it first.
# shellcheck shell=bash disable=SC2034
cluster=${1:?the name of a cluster}
[[ $cluster =~ ^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$ ]] || { echo "$cluster is not a valid name of a cluster; use at most 22 of a-z 0-9 -" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trackyard
bin=${TRACKYARD_CLUSTER_BIN:-$cache/cluster}
# Not below /var/lib or /run: the cluster has its own of these.
state=${TRACKYARD_CLUSTERS:-$cache/clusters}/$cluster
# The name of its network namespace and of its cgroups.
space=trackyard-$cluster
kubeconfig=$state/kubeconfig
# All clusters have the same addresses: none can reach another, or anything else.
node_ip=10.250.0.1
services=10.96.0.0/16
pods=10.244.0.0/20
# The address of CoreDNS on the node: that of a node-local DNS cache in other clusters.
dns_ip=169.254.20.10

# hierarchies: prints the directories in which the cluster has a cgroup $space: one for cgroup v2 alone, else one for each
# hierarchy of v1 or hybrid.
cgroup2_alone() { [ "$(stat --file-system --format=%T /sys/fs/cgroup)" = cgroup2fs ]; }
hierarchies() { if cgroup2_alone; then echo /sys/fs/cgroup/; else printf '%s\n' /sys/fs/cgroup/*/; fi; }

# pause SECONDS: sleeps without starting a program, which is slow on an emulated machine.
exec {never}<> <(:)
pause() { read -r -t "$1" -u "$never" || true; }

say() { printf 'cluster %s: %s\n' "$cluster" "$*" >&2; }
# outer_pid, inner_pid: print the process that made the cluster's namespaces, and the first process in them; nothing if the
# cluster is not running. The number in the file is checked, because another process may have it by now.
outer_pid() {
  local pid
  pid=$(cat "$state/pid" 2>/dev/null) || return 0
  if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q "^unshare .*/init.sh $cluster "; then echo "$pid"; fi
}
inner_pid() {
  local pid
  pid=$(outer_pid)
  [ -z "$pid" ] || tr -d ' ' <"/proc/$pid/task/$pid/children"
}
