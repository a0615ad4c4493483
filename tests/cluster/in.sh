#!/usr/bin/env bash
# in.sh NAME COMMAND...: runs a command in all namespaces of the cluster, as on its node.
set -euo pipefail
. "$(dirname "$0")/common.sh"
shift
pid=$(inner_pid)
[ -n "$pid" ] || { say 'is not running; start it with tests/cluster/up.sh'; exit 1; }
exec nsenter --target "$pid" --mount --net --pid --cgroup --uts --ipc -- "$@"
