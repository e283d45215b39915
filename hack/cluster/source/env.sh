# shellcheck shell=bash disable=SC2034 # the scripts beside it use what stands here
# Sourced by the scripts beside it: versions, places, and how they speak.
set -euo pipefail
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
IMAGES=$HERE/../../images
KUBERNETES_VERSION=$(awk '$1 == "k8s.io/kubernetes" {print $2}' "$HERE/kubernetes/go.mod")
COREDNS_VERSION=v1.14.7
SPIRE_VERSION=$(awk '$1 == "require" && $2 == "github.com/spiffe/spire" {print $3}' "$HERE/spire/go.mod")
SPIRE_CONTROLLER_VERSION=$(awk '$1 == "require" && $2 ~ "/spire-controller-manager$" {print $3}' "$HERE/spire-controller-manager/go.mod")
SPIFFE_CSI_VERSION=$(sha256sum "$HERE"/spiffe-csi/* | sha256sum | cut -c1-12)
PAUSE_VERSION=$(sha256sum "$HERE"/pause/* | sha256sum | cut -c1-12)

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai/bin
KUBERNETES=$CACHE/kubernetes-$KUBERNETES_VERSION
COREDNS=$CACHE/coredns-$COREDNS_VERSION
SPIRE=$CACHE/spire-$SPIRE_VERSION
SPIRE_CONTROLLER=$CACHE/spire-controller-manager-$SPIRE_CONTROLLER_VERSION
SPIFFE_CSI=$CACHE/spiffe-csi-$SPIFFE_CSI_VERSION
PAUSE=$CACHE/pause-$PAUSE_VERSION

STATE=${XDG_STATE_HOME:-$HOME/.local/state}/k8gentai/cluster
PKI=$STATE/pki
RUN=$STATE/run # process ids and sockets
LOG=$STATE/log
KUBECONFIG=$STATE/kubeconfig
CONTAINERD=$RUN/containerd.sock

NODE=node1
BRIDGE=k8gentai0
NODE_IP=10.244.0.1 # the bridge's address; what pods must reach listens here, all else on 127.0.0.1
POD_CIDR=10.244.0.0/24
SERVICE_CIDR=10.96.0.0/16
DNS_IP=10.96.0.10
ETCD=http://127.0.0.1:12379

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
kubectl() { "$KUBERNETES/kubectl" --kubeconfig="$KUBECONFIG" "$@"; }
ctr() { command ctr --address "$CONTAINERD" --namespace k8s.io "$@"; }
