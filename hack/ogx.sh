#!/usr/bin/env bash
# Runs the tests of the API on OGX, in an environment of its own: OGX cannot stand beside Llama Stack.
#   hack/ogx.sh [PYTEST ARGUMENTS]       all of them
#   hack/ogx.sh few [PYTEST ARGUMENTS]   each way in once, and what OGX does otherwise than Llama Stack; in a minute or two
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$(hack/env.sh test-ogx ogx langgraph controller trust +kit +clients +conformance)
api=runtime/tests/amf
if [ "${1:-}" = few ]; then
  shift
  exec "$python" -m pytest -q -n 0 $api/test_{server,conversations,erasing_server,ogx}.py $api/a2a/test_a2a.py $api/mcp_server/test_mcp_server.py \
    $api/legacy/test_routes.py $api/test_discovery.py::test_agents_are_told_with_what_they_are \
    "$api/test_vectors.py::test_a_file_is_found_by_its_words_after_a_restart_too[postgres]" \
    -k "not any_server and not another_server and not any_other" "$@"
fi
exec "$python" -m pytest -q -n 3 --dist loadscope $api "$@"
