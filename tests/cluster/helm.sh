#!/usr/bin/env bash
# helm.sh NAME ARGUMENTS...: runs helm as the cluster's administrator, with this machine's files.
set -euo pipefail
. "$(dirname "$0")/common.sh"
shift
exec nsenter --net="/run/netns/$space" "$bin/helm" --kubeconfig "$kubeconfig" "$@"
