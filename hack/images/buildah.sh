#!/usr/bin/env bash
# buildah.sh ARGUMENT...: buildah on the image store of this project.
set -euo pipefail
. "$(dirname "$0")/store.sh"

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay TMPDIR=$STORE-tmp # caches of builds are kept there, too
mkdir -p "$TMPDIR"
exec buildah --root "$STORE" --runroot "$STORE_RUN" "$@"
