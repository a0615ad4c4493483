# Names and directories of the cluster $1; every script here begins with it.
# shellcheck shell=bash disable=SC2034
cluster=${1:?the name of a cluster}
[[ $cluster =~ ^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$ ]] || { echo "$cluster is no name of a cluster: a-z 0-9 -" >&2; exit 2; }
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trackyard
bin=${TRACKYARD_CLUSTER_BIN:-$cache/cluster}
# Not below /var/lib or /run: the cluster has its own there.
state=${TRACKYARD_CLUSTERS:-$cache/clusters}/$cluster
# The name of its network namespace, and of its directory in each hierarchy of control groups.
space=trackyard-$cluster
kubeconfig=$state/kubeconfig
# The same in every cluster: none can reach another, or anything else.
node_ip=10.250.0.1
services=10.96.0.0/16
pods=10.244.0.0/20
# Names are served by the node, where a cluster with a cache of names on each node has them too.
names=169.254.20.10

# The directories below which the cluster has a group $space. Where this machine has cgroup v2 alone, that is the one of
# its only hierarchy; elsewhere (v1, or hybrid), one of each hierarchy.
cgroup2_alone() { [ "$(stat --file-system --format=%T /sys/fs/cgroup)" = cgroup2fs ]; }
hierarchies() { if cgroup2_alone; then echo /sys/fs/cgroup/; else printf '%s\n' /sys/fs/cgroup/*/; fi; }

# Like sleep, but it starts no program: on an emulated machine that takes so long that loops of sleeps are most of the load.
exec {never}<> <(:)
pause() { read -r -t "$1" -u "$never" || true; }

say() { printf 'cluster %s: %s\n' "$cluster" "$*" >&2; }
# Empty unless the cluster runs: the process that made its namespaces, and the first one in them. A number that a file
# kept is not trusted: it may be another process's by now.
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
