#!/usr/bin/env bash
# Prints the folder that holds kubectl.
. "$(dirname "$0")/env.sh"
dirname "$(command -v kubectl)"
