#!/usr/bin/env bash
# own.sh FOLDER IMAGE: builds a Dockerfile of your own, FROM an image of this project, and loads it into the cluster.
set -euo pipefail
folder=$(realpath "${1:?which folder}") image=${2:?under which name}
cd "$(dirname "$0")/../.."

if [ "$(hack/cluster/cluster.sh which)" = kind ]; then
  docker build --quiet --tag "$image" "$folder" >/dev/null
else
  # One at a time with images.sh: they share the store.
  exec 9>"${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai/images.lock"
  flock 9
  hack/images/buildah.sh bud --quiet --layers --pull-never --tag "$image" "$folder" >/dev/null
  hack/images/unmount.sh
fi
hack/cluster/cluster.sh load "$image"
