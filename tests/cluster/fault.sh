#!/usr/bin/env bash
# fault.sh NAME kill|stop|start COMPONENT: kills a component, which then starts again, or stops it until it is started.
# Components: etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy coredns registry
#   network-policies
set -euo pipefail
. "$(dirname "$0")/common.sh"
action=$2
component=$state/components/$3
[ -e "$component.pid" ] || { say "has no component $3"; exit 2; }
kill_component() { "$here/in.sh" "$cluster" kill -KILL "$(cat "$component.pid")"; }
case $action in
  kill) kill_component ;;
  stop)
    touch "$component.hold"
    kill_component
    ;;
  start) rm -f "$component.hold" ;;
  *)
    say "the action must be kill, stop or start, not $action"
    exit 2
    ;;
esac
