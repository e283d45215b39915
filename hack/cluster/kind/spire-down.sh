#!/usr/bin/env bash
# Takes SPIRE away; its custom resources and the CSI driver's volumes of running pods stay.
. "$(dirname "$0")/env.sh"

helm uninstall spire -n spire-server --ignore-not-found --wait >&2
