#!/usr/bin/env bash
# kubectl.sh ARG...: the cluster's own kubectl, aimed at it.
. "$(dirname "$0")/env.sh"
exec "$KUBERNETES/kubectl" --kubeconfig="$KUBECONFIG" "$@"
