#!/usr/bin/env bash
# Prints the path of the kubeconfig.
. "$(dirname "$0")/env.sh"
[ -s "$KUBECONFIG" ] || die "there is no cluster; make cluster brings one up"
echo "$KUBECONFIG"
