#!/usr/bin/env bash
# A Kubernetes on this machine, for development and for the tests of e2e/.
#
#   cluster.sh up                brings it up, and waits until it serves
#   cluster.sh load IMAGE...     brings built images into it
#   cluster.sh kubectl ARG...    kubectl, of the cluster's version and aimed at it
#   cluster.sh kubeconfig        prints the path of its kubeconfig
#   cluster.sh down              takes it away
#   cluster.sh which             prints which one this is: kind or source
#
# CLUSTER=kind needs a container engine; CLUSTER=source builds Kubernetes from source and needs root on a Debian machine.
# Unless said, it is kind where a container engine answers.
set -euo pipefail

verb=${1:-}
[ -n "$verb" ] && shift
if [ -z "${CLUSTER:-}" ]; then
  if docker info >/dev/null 2>&1; then CLUSTER=kind; else CLUSTER=source; fi
fi
scripts=$(dirname "${BASH_SOURCE[0]}")/$CLUSTER
[ -d "$scripts" ] || { echo "error: CLUSTER=$CLUSTER is neither kind nor source" >&2; exit 2; }

case $verb in
  up | down | load | kubectl | kubeconfig) exec "$scripts/$verb.sh" "$@" ;;
  which) echo "$CLUSTER" ;;
  *) sed -n '2,/^set /s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
