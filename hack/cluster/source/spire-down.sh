#!/usr/bin/env bash
# Stops SPIRE; spire.sh starts it again as it was. The CSI driver stays: without it, no pod with its volume could end.
. "$(dirname "$0")/env.sh"
. "$HERE/processes.sh"

for name in spire-keys spire-controller-manager spire-agent spire-server; do stop "$name"; done
say "SPIRE is stopped"
