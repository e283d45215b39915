#!/usr/bin/env bash
# A Kubernetes on this machine, for development and for the tests of e2e/.
#
#   cluster.sh up              brings it up, and waits until it serves
#   cluster.sh load IMAGE...   brings built images into it
#   cluster.sh kubeconfig      prints the path of its kubeconfig
#   cluster.sh path            prints the folder of its kubectl, for PATH
#   cluster.sh kubectl WORDS   its kubectl, speaking to it
#   cluster.sh spire           brings SPIRE up in it; prints what the operator has to be told (see hack/spire.sh)
#   cluster.sh spire WORDS     its SPIRE server's own commands: cluster.sh spire entry show
#   cluster.sh spire-down      stops SPIRE
#   cluster.sh down            takes it away
#   cluster.sh which           prints which one this is: kind or source
#
# CLUSTER=kind needs a container engine; CLUSTER=source builds Kubernetes from source and needs root on a Debian machine.
# CLUSTER=auto, the default, is kind where a container engine answers.
set -euo pipefail

if [ "${CLUSTER:-auto}" = auto ]; then
  if docker info >/dev/null 2>&1; then CLUSTER=kind; else CLUSTER=source; fi
fi
scripts=$(dirname "${BASH_SOURCE[0]}")/$CLUSTER
[ -d "$scripts" ] || { echo "error: CLUSTER=$CLUSTER is none of kind, source and auto" >&2; exit 2; }

case ${1:-} in
  up | down | load | spire | spire-down | kubeconfig | path) exec "$scripts/$1.sh" "${@:2}" ;;
  kubectl)
    kubeconfig=$("$scripts/kubeconfig.sh")
    path=$("$scripts/path.sh")
    KUBECONFIG=$kubeconfig PATH=$path:$PATH exec kubectl "${@:2}"
    ;;
  which) echo "$CLUSTER" ;;
  *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
