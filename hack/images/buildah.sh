#!/usr/bin/env bash
# buildah.sh ARGUMENT...: buildah on an image store of our own; needs no container engine and no registry.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai
mkdir -p "$cache/images" "$cache/tmp"
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay TMPDIR=$cache/tmp
exec buildah --root "$cache/images" --runroot /run/k8gentai-images "$@"
