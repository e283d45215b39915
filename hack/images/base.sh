#!/usr/bin/env bash
# Makes the image that stands in for python:3.13-slim where no registry is reachable: Debian trixie with its Python 3.13.
# Prints its name; what is there is not made again.
set -euo pipefail
cd "$(dirname "$0")"

image=localhost/k8gentai/base:$(sha256sum base.sh | cut -c1-12)
if ! ./buildah.sh inspect --type image "$image" >/dev/null 2>&1; then
  [ "$(id -u)" = 0 ] || { echo "error: debootstrap needs root" >&2; exit 1; }
  # shellcheck disable=SC2016 # apt fills it in
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/*$' || echo http://deb.debian.org/debian)
  root=$(mktemp -d)
  trap 'rm -rf --one-file-system "$root"' EXIT
  echo "making the base image from $mirror" >&2
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv trixie "$root" "$mirror" >"$root.log" ||
    { echo "error: debootstrap failed (log: $root.log)" >&2; exit 1; }
  # The kernel makes what is in /dev; lists and archives are for apt, which is not used again.
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/{doc,man,locale,info}/* "${root:?}"/dev/*
  ln -s python3 "$root/usr/bin/python"
  work=$(./buildah.sh from scratch)
  ./buildah.sh copy --quiet "$work" "$root" / >/dev/null
  ./buildah.sh config --cmd '["python"]' "$work"
  ./buildah.sh commit --quiet --rm "$work" "$image" >/dev/null
  rm "$root.log"
fi
echo "$image"
