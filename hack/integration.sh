#!/usr/bin/env bash
# Runs the tests with real servers. Those of frameworks that have an environment of their own run beside the others:
# all of them wait more than they work.
#   hack/integration.sh PYTHON
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp)
hack/frameworks.sh >"$log" 2>&1 &
frameworks=$!
# A shell's background jobs do not hear Ctrl-C.
trap 'kill "$frameworks" 2>/dev/null || true; rm -f "$log"' EXIT

failed=0
"$1" -m pytest -n 3 --dist loadscope -m integration || failed=1
wait "$frameworks" || failed=1
cat "$log"
exit "$failed"
