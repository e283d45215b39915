# shellcheck shell=bash
# Sourced: how a program is built from the Go module proxy into the cache, keyed by version; what is there is not built again.

# build TARGET GO-ARGUMENT...: one program, as `go install` takes it.
build() {
  local target=$1 began=$SECONDS
  shift
  [ ! -x "$target" ] || return 0
  command -v go >/dev/null || die "Go 1.26 or newer is needed to build ${target##*/}: https://go.dev/dl/"
  say "building ${target##*/} (once; it is kept in $CACHE)"
  rm -rf "$target.new"
  GOBIN=$target.new go install -trimpath "$@"
  mv "$target.new"/* "$target" # whole or not at all; Go may call it otherwise
  rmdir "$target.new"
  say "built ${target##*/} in $((SECONDS - began)) s"
}
