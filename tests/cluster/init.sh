#!/usr/bin/env bash
# init.sh NAME: the first process in the cluster's namespaces (pid, mount, cgroup, network, host name, ipc). It gives
# the cluster a /sys, /run and /var/lib of its own, starts the components and restarts those that end.
set -u
. "$(dirname "$0")/common.sh"
cd /
export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin KUBECONFIG=$kubeconfig
mount --make-rshared /
hostname "$cluster"

# New mounts show the root of this cgroup namespace as the top.
layout=hybrid
! cgroup2_alone || layout=v2
umount -R /sys
mount -t sysfs sysfs /sys
if [ $layout = v2 ]; then
  mount -t cgroup2 cgroup2 /sys/fs/cgroup
else
  mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
  for controller in cpu cpuacct cpuset memory devices freezer blkio pids; do
    grep -qw "^$controller" /proc/cgroups || continue
    mkdir "/sys/fs/cgroup/$controller" && mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
  done
  mkdir /sys/fs/cgroup/{systemd,unified}
  mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
  mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
fi

# The kubelet writes settings of the whole machine; give it private files instead.
mkdir -p "$state/sysctl"
for file in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes; do
  cat "/proc/sys/$file" >"$state/sysctl/${file##*/}"
  mount --bind "$state/sysctl/${file##*/}" "/proc/sys/$file"
done
mount --bind "$state/lib" /var/lib
mount --bind "$state/varlog" /var/log
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns /run/proc
# The kernel allows a new /proc in a user namespace only if there is one without mounts on top.
mount -t proc proc /run/proc
ulimit -n "$(ulimit -Hn)"

# run_component NAME COMMAND...: runs a component in the background, and again whenever it ends, unless fault.sh has
# stopped it.
run_component() {
  local name=$1
  shift
  (
    while :; do
      while [ -e "$state/components/$name.hold" ]; do pause 0.1; done
      "$@" >>"$state/log/$name.log" 2>&1 &
      echo $! >"$state/components/$name.pid"
      wait $!
      echo "=== $name ended with $? at $(date +%T)" >>"$state/log/$name.log"
      pause 0.5
    done
  ) &
}

pki=$state/pki
kube=$bin/kube
store=http://127.0.0.1:2379
peers=http://127.0.0.1:2380
flags=(--kubeconfig "$kubeconfig" --leader-elect=false --profiling=false --kube-api-qps 300 --kube-api-burst 500)
run_component etcd "$kube" etcd --data-dir /var/lib/etcd --unsafe-no-fsync --log-level warn --initial-cluster "default=$peers" \
  --listen-client-urls $store --advertise-client-urls $store \
  --listen-peer-urls $peers --initial-advertise-peer-urls $peers
run_component containerd containerd --config "$state/etc/containerd.toml"
run_component kube-apiserver "$kube" kube-apiserver --etcd-servers $store --advertise-address "$node_ip" --secure-port 6443 \
  --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" --client-ca-file "$pki/ca.crt" \
  --service-account-issuer https://kubernetes.default.svc.cluster.local \
  --service-account-key-file "$pki/sa.pub" --service-account-signing-key-file "$pki/sa.key" \
  --service-cluster-ip-range "$services" --authorization-mode Node,RBAC \
  --enable-admission-plugins NodeRestriction --allow-privileged=true \
  --kubelet-client-certificate "$pki/admin.crt" --kubelet-client-key "$pki/admin.key" \
  --kubelet-preferred-address-types InternalIP --profiling=false \
  --audit-policy-file "$state/etc/audit.yaml" --audit-log-path "$state/log/audit.jsonl"
(
  until [ -S /run/containerd/containerd.sock ]; do pause 0.05; done
  touch "$state/containerd.up"
) &
# The other components need a ready API server. openssl asks it, because it starts faster than kubectl.
ready() {
  [ "$(printf 'GET /readyz HTTP/1.0\r\n\r\n' | openssl s_client -quiet -connect "$node_ip:6443" 2>/dev/null | tail -n 1)" = ok ]
}
(
  until ready; do pause 0.1; done
  touch "$state/apiserver.up"
  run_component kube-controller-manager "$kube" kube-controller-manager "${flags[@]}" \
    --service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key"
  run_component kube-scheduler "$kube" kube-scheduler "${flags[@]}"
  run_component kubelet "$kube" kubelet --config "$state/etc/kubelet.yaml" --kubeconfig "$state/etc/kubelet.kubeconfig" \
    --hostname-override "$cluster" --node-ip "$node_ip" --root-dir /var/lib/kubelet
  run_component kube-proxy "$kube" kube-proxy --config "$state/etc/kube-proxy.yaml"
  run_component network-policies "$kube" network-policies --kubeconfig "$kubeconfig" --hostname-override "$cluster" \
    --service-cluster-ip-range "$services"
  run_component coredns "$bin/coredns" -conf "$state/etc/Corefile"
  wait
) &
run_component registry docker-registry serve "$state/etc/registry.yml"

trap 'exit 0' TERM INT
while :; do wait -n 2>/dev/null || sleep 1; done
