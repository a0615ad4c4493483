#!/usr/bin/env bash
# down.sh NAME: stops a cluster and removes all that it made; fails if anything is left.
set -euo pipefail
. "$(dirname "$0")/common.sh"

first=$(inner_pid)
if [ -n "$first" ]; then
  outer=$(outer_pid)
  # The kernel ends all processes of its pid namespace with it, and removes their mounts.
  kill -KILL "$first"
  for _ in $(seq 100); do
    [ -e "/proc/$outer" ] || break
    sleep 0.1
  done
fi
[ ! -e "/run/netns/$space" ] || ip netns del "$space"
mapfile -t groups < <(hierarchies)
for group in "${groups[@]/%/$space}"; do
  # End the processes that are left; only cgroup v2 can do this for a whole group.
  [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill"
  for _ in $(seq 50); do
    [ -d "$group" ] || break
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
  done
done
rm -rf "$state"

for left in "${groups[@]/%/$space}" "/run/netns/$space" "$state"; do
  [ ! -e "$left" ] || { say "cannot remove $left"; exit 1; }
done
