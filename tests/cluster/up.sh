#!/usr/bin/env bash
# up.sh NAME [IMAGE.tar...]: starts a cluster of one node on this machine, in namespaces of its own and without a network
# outside, imports the images and waits until the node is ready. Prints a first command to try.
set -euo pipefail
. "$(dirname "$0")/common.sh"
shift

"$here/check.sh" "$cluster"
[ -z "$(outer_pid)" ] || { say "is running already; stop it with tests/cluster/down.sh $cluster"; exit 1; }
"$here/build.sh"
"$here/image/build.sh" "$cache/cluster-images"
"$here/down.sh" "$cluster"
start=$(date +%s.%N)
step() { say "$(printf '%5.1f s  %s' "$(echo "$(date +%s.%N) - $start" | bc)" "$*")"; }

# The node's interface is a veth pair with both ends inside; there is no link to this machine.
ip netns add "$space"
inside() { ip -n "$space" "$@"; }
inside link set lo up
inside link add node0 type veth peer name node1
inside addr add "$node_ip/32" dev node0
inside addr add "$dns_ip/32" dev node0
inside link set node0 up
inside link set node1 up
# Addresses of services need a route before they are translated.
inside route add "$services" dev node0
nsenter --net="/run/netns/$space" sysctl --quiet --write net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 \
  net.ipv4.conf.all.rp_filter=0 net.ipv6.conf.all.disable_ipv6=1 'net.ipv4.ping_group_range=0 2147483647'

mkdir -p "$state"
"$here/certificates.sh" "$cluster"
"$here/configuration.sh" "$cluster"

# On cgroup v2, a group has the controllers that its parent enables. Controllers that are enabled here stay enabled,
# because other groups may use them by the time the cluster stops.
if cgroup2_alone; then
  for controller in cpu cpuset io memory hugetlb pids; do
    grep -qw "$controller" /sys/fs/cgroup/cgroup.controllers || continue
    grep -qw "$controller" /sys/fs/cgroup/cgroup.subtree_control || echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
  done
fi
mapfile -t groups < <(hierarchies)
for hierarchy in "${groups[@]}"; do
  mkdir -p "$hierarchy$space"
  # On v1, no process can enter a group without processors.
  ! cgroup2_alone || continue
  for file in cpuset.cpus cpuset.mems; do
    [ ! -e "$hierarchy$space/$file" ] || cat "$hierarchy$file" >"$hierarchy$space/$file"
  done
done
# On v2, a group with processes cannot enable controllers for the groups below, as kubelet and runc must do. So the first
# process moves to a leaf before it starts others, and the cluster's group is only the root of the cgroup namespace.
leaf=
if cgroup2_alone; then
  leaf=/sys/fs/cgroup/$space/init
  mkdir "$leaf"
fi
(
  for hierarchy in "${groups[@]}"; do echo $BASHPID >"$hierarchy$space/cgroup.procs"; done
  # shellcheck disable=SC2016  # the inner shell expands them
  exec setsid nsenter --net="/run/netns/$space" unshare --cgroup \
    bash -c '[ -z "$0" ] || echo $$ >"$0/cgroup.procs"; exec "$@"' "$leaf" \
    unshare --mount --pid --uts --ipc --fork --kill-child --mount-proc "$here/init.sh" "$cluster"
) >"$state/log/init.log" 2>&1 </dev/null &
echo $! >"$state/pid"
step configured

deadline=$(($(date +%s) + ${TRACKYARD_CLUSTER_TIMEOUT:-120}))
left() { echo $((deadline - $(date +%s) + 1)); }
wait_for() {
  local condition=$1
  shift
  until "$@" >/dev/null 2>&1; do
    if [ "$(date +%s)" -gt "$deadline" ]; then
      say "not in time: $condition. The ends of the logs in $state/log:"
      tail --lines=3 "$state"/log/*.log | cut -c1-300 >&2
      exit 1
    fi
    pause 0.1
  done
  step "$condition"
}
kubectl() { "$here/kubectl.sh" "$cluster" "$@"; }
wait_for 'containerd answers' [ -e "$state/containerd.up" ]
for image in "$cache/cluster-images/pause.tar" "$@"; do
  "$here/in.sh" "$cluster" ctr --namespace k8s.io images import "$(realpath "$image")" >/dev/null
done
wait_for 'the API server is ready' [ -e "$state/apiserver.up" ]
wait_for 'the node has registered' kubectl wait --for=create "node/$cluster" --timeout="$(left)s"
wait_for 'the node is ready' kubectl wait --for=condition=Ready "node/$cluster" --timeout="$(left)s"
wait_for 'pods can be created' kubectl wait --for=create serviceaccount/default --timeout="$(left)s"
wait_for 'network policies are enforced' nsenter --net="/run/netns/$space" iptables --list KUBE-ROUTER-FORWARD
echo "$here/kubectl.sh $cluster get pods --all-namespaces"
