#!/usr/bin/env bash
# Brings the kind cluster up and returns when it serves; one that runs already is only waited for.
. "$(dirname "$0")/env.sh"

mkdir -p "${KUBECONFIG%/*}"
if kind get clusters --quiet | grep -qx "$KIND_CLUSTER_NAME"; then
  kind export kubeconfig
else
  kind create cluster --config "$HERE/cluster.yaml"
fi
kubectl wait --for=condition=Ready nodes --all --timeout=120s
kubectl -n kube-system rollout status deployment/coredns --timeout=120s
