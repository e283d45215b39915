#!/usr/bin/env bash
# export.sh IMAGE FOLDER: writes IMAGE as an OCI layout, uncompressed; parts that FOLDER/blobs has are not written again.
set -euo pipefail
. "$(dirname "$0")/store.sh"

exec skopeo copy --quiet --dest-oci-accept-uncompressed-layers \
  "containers-storage:[overlay@$STORE+$STORE_RUN]$1" "oci:$2:${1##*:}"
