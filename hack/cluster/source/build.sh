#!/usr/bin/env bash
# Builds the cluster's programs from the Go module proxy into a cache, keyed by version; what is there is not built again.
. "$(dirname "$0")/env.sh"
. "$HERE/programs.sh"

# The version is linked in; otherwise clients are told that this is a development build.
version=k8s.io/component-base/version
minor=${KUBERNETES_VERSION#v1.}
flags="-s -w -X $version.gitVersion=$KUBERNETES_VERSION -X $version.gitMajor=1 -X $version.gitMinor=${minor%%.*}"
cd "$HERE/kubernetes" # go install takes the versions of the module it stands in
for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl; do
  build "$KUBERNETES/$program" -mod=readonly -ldflags "$flags" "k8s.io/kubernetes/cmd/$program"
done

export CGO_ENABLED=0 # these two run in images that hold nothing else
cd "$HERE/pause"
build "$PAUSE/pause" -ldflags "-s -w" .
build "$COREDNS/coredns" -ldflags "-s -w" "github.com/coredns/coredns@$COREDNS_VERSION"
