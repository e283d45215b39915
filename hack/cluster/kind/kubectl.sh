#!/usr/bin/env bash
# kubectl.sh ARG...: kubectl, aimed at the kind cluster.
. "$(dirname "$0")/env.sh"
exec kubectl --kubeconfig="$KUBECONFIG" "$@"
