#!/usr/bin/env bash
# Prints the path of the kubeconfig.
. "$(dirname "$0")/env.sh"
[ -s "$KUBECONFIG" ] || { echo "error: there is no cluster; make cluster brings one up" >&2; exit 1; }
echo "$KUBECONFIG"
