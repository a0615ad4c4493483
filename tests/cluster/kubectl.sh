#!/usr/bin/env bash
# kubectl.sh NAME ARGUMENTS...: runs kubectl as the cluster's administrator, with this machine's files.
set -euo pipefail
. "$(dirname "$0")/common.sh"
shift
exec nsenter --net="/run/netns/$space" "$bin/kube" kubectl --kubeconfig "$kubeconfig" "$@"
