# shellcheck shell=bash disable=SC2034 # the scripts beside it use what stands here
# Sourced: where images are kept; needs no container engine and leaves /var/lib/containers alone.
STORE=${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai/images
STORE_RUN=/run/k8gentai-images
