#!/usr/bin/env bash
# configuration.sh NAME: writes the configuration of the cluster's components, below $state.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mkdir -p "$state"/{etc/cni,etc/registries,log,lib,varlog,components}
cd "$state/etc"

# write_kubeconfig FILE CERTIFICATE
write_kubeconfig() {
  encoded() { base64 --wrap=0 <"$state/pki/$1"; }
  (umask 077 && cat >"$1") <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$node_ip:6443", certificate-authority-data: $(encoded ca.crt)}}]
users: [{name: u, user: {client-certificate-data: $(encoded "$2.crt"), client-key-data: $(encoded "$2.key")}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
END
}
write_kubeconfig "$kubeconfig" admin
write_kubeconfig kubelet.kubeconfig kubelet
# Log the requests of service accounts, except those of the cluster itself.
cat >audit.yaml <<END
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - {level: None, userGroups: ["system:serviceaccounts:kube-system"]}
  - {level: Metadata, userGroups: ["system:serviceaccounts"]}
  - {level: None}
END
# There is no name server outside the cluster.
: >resolv.conf

cat >containerd.toml <<END
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "cluster.local/pause:1"
  # Without CAP_SYS_RESOURCE the score cannot be lowered, and every pod would fail.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/etc/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "$state/etc/registries"
END

cat >cni/10-pods.conflist <<END
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam", "ranges": [[{"subnet": "$pods"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
END

mkdir -p "registries/$node_ip:5000"
cat >"registries/$node_ip:5000/hosts.toml" <<END
server = "http://$node_ip:5000"
[host."http://$node_ip:5000"]
  capabilities = ["pull", "resolve"]
END

# By default the kubelet refuses cgroup v1.
on_v1='failCgroupV1: false'
! cgroup2_alone || on_v1=
cat >kubelet.yaml <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
$on_v1
cgroupDriver: cgroupfs
failSwapOn: false
maxPods: 250
clusterDNS: [$dns_ip]
clusterDomain: cluster.local
resolvConf: $state/etc/resolv.conf
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
maxParallelImagePulls: 4
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 100
kubeAPIBurst: 200
maxOpenFiles: 20000
oomScoreAdj: 0
nodeStatusUpdateFrequency: 5s
END

cat >kube-proxy.yaml <<END
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: $pods
hostnameOverride: $cluster
oomScoreAdj: 0
clientConnection: {kubeconfig: $kubeconfig}
# Do not change these settings, which are the whole machine's.
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nftables: {minSyncPeriod: 100ms}
END

cat >Corefile <<END
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
  bind $dns_ip
  errors
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    kubeconfig $kubeconfig
    pods insecure
    ttl 5
  }
  cache 5
}
.:53 {
  bind $dns_ip
  template ANY ANY {
    rcode NXDOMAIN
  }
}
END

cat >registry.yml <<END
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: $state/registry}, delete: {enabled: true}}
http: {addr: "$node_ip:5000"}
END
