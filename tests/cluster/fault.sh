#!/usr/bin/env bash
# fault.sh NAME kill|stop|start PART: ends a part, which then starts again; stops one; starts it again.
# Parts: etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy coredns registry
#        network-policies
set -euo pipefail
. "$(dirname "$0")/common.sh"
what=$2
part=$state/parts/$3
[ -e "$part.pid" ] || { say "has no part $3"; exit 2; }
end() { "$here/in.sh" "$cluster" kill -KILL "$(cat "$part.pid")"; }
case $what in
  kill) end ;;
  stop)
    touch "$part.hold"
    end
    ;;
  start) rm -f "$part.hold" ;;
  *)
    say "kill, stop or start, not $what"
    exit 2
    ;;
esac
