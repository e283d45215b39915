#!/usr/bin/env bash
# Builds the images whose inputs have changed, and brings all of them into the cluster if one is up.
#
#   images.sh           all of them
#   images.sh NAME...   those of operator, server, server-ogx, runtime, nats, worker-langgraph, worker-llama-stack,
#                       worker-crewai, worker-ag2, worker-beeai
#
# With a container engine (CLUSTER=kind) they are built by it on python:3.13-slim, else by buildah on a base made here.
# K8GENTAI_IMAGE_PREFIX (localhost/k8gentai) and K8GENTAI_IMAGE_TAG (dev) name them.
set -euo pipefail
cd "$(dirname "$0")/../.."

here=hack/images
# stage of the Dockerfile : extras of pyproject.toml : folders of code
declare -A recipe=(
  [operator]="operator:controller:controller runtime templates"
  [server]="server:amf:runtime"
  [server-ogx]="server:ogx:runtime"
  [runtime]="runtime:tools trust:runtime"
  [worker-langgraph]="runtime:langgraph:runtime"
  [worker-llama-stack]="runtime:llama-stack:runtime"
  [worker-crewai]="runtime:crewai:runtime"
  [worker-ag2]="runtime:ag2:runtime"
  [worker-beeai]="runtime:beeai:runtime"
  [nats]="nats:controller:"
)

engine() { if [ "$cluster" = kind ]; then docker "$@"; else "$here/buildah.sh" "$@"; fi; }

# label IMAGE: the digest of the inputs it was built from, if it is there.
label() {
  local config=.Config
  [ "$cluster" = kind ] || config=.OCIv1.Config
  engine inspect --type image --format "{{index $config.Labels \"k8gentai.dev/inputs\"}}" "$1" 2>/dev/null || true
}

# inputs FOLDER...: a digest of all that goes into an image.
inputs() {
  {
    echo "$base $*"
    find "$here"/Dockerfile* pyproject.toml uv.lock README.md LICENSE "$@" -type f ! -path '*/tests/*' ! -path '*/__pycache__/*' -print0 |
      sort -z | xargs -0 sha256sum
  } | sha256sum | cut -c1-16
}

# build IMAGE STAGE EXTRAS DIGEST
build() {
  local began=$SECONDS
  local arguments=(--build-arg "BASE=$base" --build-arg "FRAMEWORK=$3" --target "$2" --label "k8gentai.dev/inputs=$4" --tag "$1" --file "$here/Dockerfile")
  echo "building $1" >&2
  if [ "$cluster" = kind ]; then
    docker build --quiet "${arguments[@]}" . >/dev/null
  else
    # The machine's certificates are lent to the build; they do not stay in the image.
    engine bud --quiet --layers --pull-never --volume /etc/ssl/certs:/etc/ssl/certs:ro \
      --ignorefile "$here/Dockerfile.dockerignore" "${arguments[@]}" . >/dev/null
  fi
  echo "built $1 in $((SECONDS - began)) s" >&2
}

# One at a time: two would build the same twice.
mkdir -p "${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai"
exec 9>"${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai/images.lock"
flock 9

[ $# -gt 0 ] || set -- operator server server-ogx runtime nats worker-langgraph worker-llama-stack worker-crewai worker-ag2 worker-beeai
cluster=$(hack/cluster/cluster.sh which)
base=python:3.13-slim-trixie
if [ "$cluster" = source ]; then
  hack/cluster/source/packages.sh
  base=$("$here/base.sh")
fi

images=()
for name; do
  [ -n "${recipe[$name]:-}" ] || { echo "error: there is no image $name" >&2; exit 2; }
  IFS=: read -r stage extras folders <<<"${recipe[$name]}"
  image=${K8GENTAI_IMAGE_PREFIX:-localhost/k8gentai}/$name:${K8GENTAI_IMAGE_TAG:-dev}
  # shellcheck disable=SC2086 # it is a list
  digest=$(inputs $folders)
  [ "$(label "$image")" = "$digest" ] || build "$image" "$stage" "$extras" "$digest"
  images+=("$image")
done
[ "$cluster" = kind ] || "$here/unmount.sh"
if hack/cluster/cluster.sh kubeconfig >/dev/null 2>&1; then
  hack/cluster/cluster.sh load "${images[@]}"
else
  echo "not loaded, because no cluster is up: ${images[*]}" >&2
fi
