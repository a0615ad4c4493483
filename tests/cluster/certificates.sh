#!/usr/bin/env bash
# certificates.sh NAME: makes the cluster's certificate authority and the keys of its components in $state/pki, unless
# they exist.
set -euo pipefail
. "$(dirname "$0")/common.sh"
mkdir -p "$state/pki"
cd "$state/pki"
[ ! -e complete ] || exit 0

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
# certificate FILE SUBJECT [EXTENSION]
certificate() {
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" -extfile <(
    printf '%s\n' keyUsage=digitalSignature,keyEncipherment extendedKeyUsage=serverAuth,clientAuth "${3:-}"
  ) 2>/dev/null
}
names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local

key ca
openssl req -x509 -new -key ca.key -days 30 -subj "/CN=$space" -out ca.crt
certificate apiserver /CN=kube-apiserver "subjectAltName=$names,DNS:localhost,IP:127.0.0.1,IP:$node_ip,IP:${services%.*}.1"
certificate admin /O=system:masters/CN=admin
certificate kubelet "/O=system:nodes/CN=system:node:$cluster"
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
touch complete
