#!/usr/bin/env bash
# Brings the kind cluster up and returns when it serves; does nothing but wait where it runs already.
. "$(dirname "$0")/env.sh"
mkdir -p "${KUBECONFIG%/*}"
if kind get clusters --quiet | grep -qx "$NAME"; then
  kind export kubeconfig --name "$NAME" --kubeconfig "$KUBECONFIG"
else
  kind create cluster --name "$NAME" --config "$HERE/cluster.yaml" --kubeconfig "$KUBECONFIG"
fi
kubectl --kubeconfig="$KUBECONFIG" wait --for=condition=Ready nodes --all --timeout=120s
kubectl --kubeconfig="$KUBECONFIG" -n kube-system rollout status deployment/coredns --timeout=120s
