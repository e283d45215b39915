#!/usr/bin/env bash
# Runs the tests of what cannot stand beside the rest: CrewAI, BeeAI and OGX, each in an environment of its own, and what needs
# a Keycloak; side by side.
#   hack/frameworks.sh [PYTEST ARGUMENTS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests() {
  local framework=$1 python
  [ "$framework" != ogx ] || exec hack/ogx.sh few "${@:2}"
  [ "$framework" != keycloak ] || exec hack/keycloak.sh test "${@:2}"
  python=$(hack/env.sh "test-$framework" "$framework" controller trust +kit)
  # The kit's other tests are about agents of LangGraph and Llama Stack.
  exec "$python" -m pytest -q -n 2 --dist loadscope "runtime/tests/frameworks/$framework" \
    runtime/tests/kit/test_{approvals,frameworks,proxy}.py "${@:2}"
}

logs=$(mktemp -d)
declare -A running
# A shell's background jobs do not hear Ctrl-C.
trap 'kill "${running[@]}" 2>/dev/null || true; rm -rf "$logs"' EXIT
for framework in crewai beeai ogx keycloak; do
  tests "$framework" "$@" >"$logs/$framework" 2>&1 &
  running[$framework]=$!
done

failed=0
for framework in crewai beeai ogx keycloak; do
  wait "${running[$framework]}" || failed=1
  printf '· %s\n' "$framework" >&2
  cat "$logs/$framework"
done
exit "$failed"
