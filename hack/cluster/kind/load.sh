#!/usr/bin/env bash
# load.sh IMAGE...: brings images from the container engine into the cluster; kind leaves out what is there already.
. "$(dirname "$0")/env.sh"

kind load docker-image "$@"
