#!/usr/bin/env bash
# Makes go.mod and go.sum of this folder anew: update.sh v1.35.4
#
# k8s.io/kubernetes replaces its staging modules by folders which the module proxy does not carry. Here each of them is
# replaced by the version published with that release (v1.35.4 → v0.35.4). Not every release has them all.
set -euo pipefail
cd "$(dirname "$0")"

version=$1
published=v0.${version#v1.}
upstream=$(go mod download -json "k8s.io/kubernetes@$version" | sed -n 's/.*"GoMod": "\(.*\)",/\1/p')

rm -f go.mod go.sum
go mod init k8gentai.dev/hack/cluster/source/kubernetes
go mod edit -go="$(awk '/^go / {print $2}' "$upstream")" -godebug="$(awk '/^godebug / {print $2}' "$upstream")"
for module in $(awk '$3 ~ "^./staging/src/" {print $1}' "$upstream"); do
  go mod edit -replace="$module=$module@$published"
done
for program in kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet; do
  go mod edit -tool="k8s.io/kubernetes/cmd/$program"
done
go mod edit -require="k8s.io/kubernetes@$version"
go mod tidy
