#!/usr/bin/env bash
# Takes the kind cluster away.
. "$(dirname "$0")/env.sh"
kind delete cluster --name "$NAME" --kubeconfig "$KUBECONFIG"
rm -f "$KUBECONFIG"
