#!/usr/bin/env bash
# Unmounts what buildah 1.28 leaves mounted after a build: the stages from which a step
# borrowed files, and the folder around them.
set -euo pipefail
. "$(dirname "$0")/store.sh"

awk -v below="$STORE/overlay" 'index($5, below) == 1 {print $5}' /proc/self/mountinfo | tac | while read -r mount; do
  umount "$mount" 2>/dev/null || true # in use by another build
done
