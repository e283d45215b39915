#!/usr/bin/env bash
# Builds SPIRE, its controller manager and the CSI driver from the Go module proxy into the cache, keyed by version.
. "$(dirname "$0")/env.sh"
. "$HERE/programs.sh"

spire=github.com/spiffe/spire
controller=github.com/spiffe/spire-controller-manager
cd "$HERE/spire" # go install takes the versions of the module it stands in
build "$SPIRE/spire-server" -mod=readonly -ldflags "-s -w" "$spire/cmd/spire-server"
build "$SPIRE/spire-agent" -mod=readonly -ldflags "-s -w" "$spire/cmd/spire-agent"
build "$SPIRE/oidc-discovery-provider" -mod=readonly -ldflags "-s -w" "$spire/support/oidc-discovery-provider"

cd "$HERE/spire-controller-manager"
build "$SPIRE_CONTROLLER/spire-controller-manager" -mod=readonly -ldflags "-s -w" "$controller/cmd"
# What it needs in the cluster, resource definitions and rights, comes with its module.
if [ ! -d "$SPIRE_CONTROLLER/config" ]; then
  module=$(go list -mod=readonly -m -f '{{.Dir}}' "$controller")
  cp -r --no-preserve=mode "$module/config" "$SPIRE_CONTROLLER/config.new"
  mv "$SPIRE_CONTROLLER/config.new" "$SPIRE_CONTROLLER/config"
fi

export CGO_ENABLED=0
cd "$HERE/spiffe-csi"
build "$SPIFFE_CSI/spiffe-csi" -mod=readonly -ldflags "-s -w" .
