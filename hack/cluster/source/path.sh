#!/usr/bin/env bash
# Prints the folder that holds the kubectl of the cluster's version.
. "$(dirname "$0")/env.sh"
echo "$KUBERNETES"
