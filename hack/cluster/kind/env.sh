# shellcheck shell=bash disable=SC2034 # the scripts beside it use what stands here
# Sourced by the scripts beside it. KIND_EXPERIMENTAL_PROVIDER=podman works as kind documents it.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# kind and kubectl take these as their defaults.
export KIND_CLUSTER_NAME=k8gentai KUBECONFIG=${XDG_STATE_HOME:-$HOME/.local/state}/k8gentai/kind.kubeconfig

for program in kind kubectl; do
  command -v "$program" >/dev/null || { echo "error: $program is missing: https://kind.sigs.k8s.io/docs/user/quick-start" >&2; exit 1; }
done
