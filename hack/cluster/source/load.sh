#!/usr/bin/env bash
# load.sh IMAGE...: brings images from the store of hack/images into the cluster; what is there already is left alone.
. "$(dirname "$0")/env.sh"

for image; do
  id=$("$IMAGES/buildah.sh" inspect --type image --format '{{.FromImageID}}' "$image") || die "there is no image $image; make images builds them"
  # containerd keeps the id as a label, because its own digest is of another form of the same image.
  [ -z "$(ctr images ls -q name=="$image",'labels."k8gentai.dev/id"=='"$id")" ] || continue
  began=$SECONDS
  archive=$(mktemp -d "$STATE/load.XXXXXX")
  trap 'rm -rf "$archive"' EXIT
  "$IMAGES/buildah.sh" push --quiet "$image" "docker-archive:$archive/image.tar:$image"
  ctr images import "$archive/image.tar" >/dev/null
  ctr images label "$image" k8gentai.dev/id="$id" >/dev/null
  rm -rf "$archive"
  say "loaded $image in $((SECONDS - began)) s"
done
