#!/usr/bin/env bash
# build.sh: builds the programs of a cluster from the Go modules in modules/, into a directory outside the checkout:
#   kube         etcd, API server, controller manager, scheduler, kubelet, proxy, kubectl and the enforcer of network
#                policies, in one binary
#   coredns      with only the plugins that a cluster needs
#   helm         from the same module, to share compiled packages
#   kubeconform  from the same module
# Builds again only if modules/ or the Go release has changed. The first build takes seven minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/modules"
bin=${TRACKYARD_CLUSTER_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/trackyard/cluster}
PATH="$PATH:/usr/local/go/bin"
built=$(cat "$bin/.built" 2>/dev/null || true)
sources=$(cat go.mod go.sum ./*.go coredns/main.go ../build.sh | sha256sum | cut -c1-16)
if ! command -v go >/dev/null; then
  # Use programs that another machine built from the same sources.
  [ "${built%-*}" != "$sources" ] || exit 0
  echo 'cluster: go is missing, which builds Kubernetes. Install Go 1.26 or newer (https://go.dev/dl).' >&2
  exit 1
fi
export CGO_ENABLED=0 GOFLAGS='-mod=readonly -buildvcs=false -trimpath'

key=$sources-$(go env GOVERSION)
[ "$built" != "$key" ] || exit 0

# The version that `kubectl version` and `helm version` print, and that kubelet and API server compare.
version=$(awk '$1 == "k8s.io/kubernetes" { print $2 }' go.mod)
minor=${version#v1.}
minor=${minor%%.*}
flags='-s -w'
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags+=" -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
  flags+=" -X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z"
done

say() { printf 'cluster: %s\n' "$*" >&2; }
mkdir -p "$bin"
say "building Kubernetes $version (some minutes, once) into $bin"
go build -ldflags "$flags" -o "$bin/kube" .
say 'building coredns, helm and kubeconform'
go build -ldflags '-s -w' -o "$bin/coredns" ./coredns
go build -ldflags "$flags" -o "$bin/helm" helm.sh/helm/v4/cmd/helm
go build -ldflags '-s -w' -o "$bin/kubeconform" github.com/yannh/kubeconform/cmd/kubeconform
echo "$key" >"$bin/.built"
