#!/bin/bash
# Runs the tests in the virtual machine. The host shows each line that begins with "cgroup2: ".
set -uo pipefail
slowness=$(sed -nE 's/.*slowness=([0-9]+).*/\1/p' /proc/cmdline)
export TRACKYARD_TEST_SLOWNESS=${slowness:-1} TRACKYARD_BINARIES=/tests/bin RUST_BACKTRACE=0
say() { echo "cgroup2: $*"; }

# Enters a group as a login does: it may have other processes, and systemd has delegated controllers above it.
login() {
  local group=/sys/fs/cgroup/user.slice/session-1.scope
  echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control
  mkdir -p "$group"
  echo '+memory +pids +cpu' >/sys/fs/cgroup/user.slice/cgroup.subtree_control
  echo $$ >"$group/cgroup.procs"
}

failed=0
run() {
  local name=$1 start=$SECONDS line
  shift
  say "$name"
  # Show the result of each test; other output stays on the console.
  if "$@" 2>&1 | while IFS= read -r line; do
    case $line in
      *' ... '* | 'test result'* | FAIL* | ok\ *) say "  $line" ;;
      *) echo "$line" ;;
    esac
  done; then
    say "$name: passed in $((SECONDS - start)) s"
  else
    say "$name: FAILED after $((SECONDS - start)) s"
    failed=1
  fi
}

# shellcheck disable=SC2317  # called by `run`
nothing_left() {
  local left
  left=$(find /sys/fs/cgroup -type d \( -name 'trackyard-*' -o -name kubepods \))
  left+=$(grep trackyard /proc/self/mountinfo)
  [ -z "$left" ] || { echo "left: $left"; return 1; }
}

# Links the repository to where the tests look for it.
link_repository() {
  local path
  path=$(cat /tests/repository-path)
  mkdir -p "$(dirname "$path")" /root/.cache/trackyard /var/tmp/no-examples
  ln -s /tests/repository "$path"
  ln -s /tests/cluster-images /root/.cache/trackyard/cluster-images
  export TRACKYARD_CLUSTER_BIN=/tests/cluster TRACKYARD_PRODUCT_IMAGES=/tests/images
  export TRACKYARD_TEST_IMAGES=/var/tmp/no-examples
}

parts=$(cat /tests/parts)
has() { [[ " $parts " == *" $1 "* ]]; }
say "Linux $(uname -r), $(runc --version | head -1), $(cat /sys/fs/cgroup/cgroup.controllers)"
if has sandbox; then run 'doctor in the root group' /tests/bin/trackyard-worker doctor /var/tmp/doctor; fi
login
if has sandbox; then
  run 'doctor after a login' /tests/bin/trackyard-worker doctor /var/tmp/doctor
  run 'the hostile suite' /tests/bin/sandbox_jobs
  run 'hostile submissions and images' /tests/bin/hostile
  run 'a worker in a pod' /tests/bin/pod
  export TRACKYARD_TEST_PODS=1
  run 'verdicts in a pod' /tests/bin/verdicts
  run 'the sandbox in a pod' /tests/bin/sandbox
  unset TRACKYARD_TEST_PODS
fi
if has cluster; then
  link_repository
  # Kubernetes collects its garbage less often: there is more memory here than processor time.
  export GOGC=400
  run 'a job in a Kubernetes cluster' /tests/bin/platform_groups
fi
run 'nothing is left' nothing_left
exit "$failed"
