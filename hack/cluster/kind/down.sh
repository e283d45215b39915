#!/usr/bin/env bash
# Takes the kind cluster away.
. "$(dirname "$0")/env.sh"

kind delete cluster
rm -f "$KUBECONFIG"
