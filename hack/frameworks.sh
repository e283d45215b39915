#!/usr/bin/env bash
# Runs the tests of the frameworks that cannot stand beside the others, each in an environment of its own.
#   hack/frameworks.sh [PYTEST ARGUMENTS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

for framework in crewai beeai; do
  printf '· %s\n' "$framework" >&2
  python=$(hack/env.sh "test-$framework" "$framework" controller trust +kit)
  "$python" -m pytest -q -n 3 --dist loadscope "runtime/tests/frameworks/$framework" runtime/tests/kit "$@"
done
