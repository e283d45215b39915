#!/usr/bin/env bash
# load.sh IMAGE...: brings images from the store of hack/images into the cluster. What is there already is left alone;
# of a changed image only the layers travel that the cluster lacks.
. "$(dirname "$0")/env.sh"

# lacking FOLDER: the parts of the image in FOLDER, its list of parts first, that containerd has not.
lacking() {
  local list
  list=$(grep -om1 'sha256:[0-9a-f]*' "$1/index.json")
  { echo "$list"; grep -o 'sha256:[0-9a-f]*' "$1/blobs/sha256/${list#*:}"; } | sort -u |
    comm -23 - <(ctr content ls -q | sort) |
    while IFS=: read -r kind digest; do
      [ ! -e "$1/blobs/$kind/$digest" ] || echo "blobs/$kind/$digest"
    done
}

work=$(mktemp -d "$STATE/load.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$STATE/blobs"
for image; do
  id=$("$IMAGES/buildah.sh" inspect --type image --format '{{.FromImageID}}' "$image") || die "there is no image $image; make images builds them"
  # containerd keeps the id as a label, because its own digest is of another form of the same image.
  [ -z "$(ctr images ls -q name=="$image",'labels."k8gentai.dev/id"=='"$id")" ] || continue
  began=$SECONDS
  rm -rf "${work:?}"/*
  ln -s "$STATE/blobs" "$work/blobs" # parts that were written for another image are not written again
  "$IMAGES/export.sh" "$image" "$work"
  lacking "$work" | tar --create --directory "$work" --files-from - oci-layout index.json |
    ctr images import --base-name "${image%:*}" - >/dev/null
  ctr images label "$image" k8gentai.dev/id="$id" >/dev/null
  say "loaded $image in $((SECONDS - began)) s"
done
