#!/usr/bin/env bash
# Runs the tests of the API on OGX, in an environment of its own: OGX cannot stand beside Llama Stack.
#   hack/ogx.sh [PYTEST ARGUMENTS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=$(hack/env.sh test-ogx ogx controller trust +kit +clients)
# Where the API meets the server's own code, types and store: answers and streams, tools, conversations, approvals,
# cancelling, refusals, models that are no agent, a start that fails. What else there is of runtime/tests/amf takes no
# notice of the server, or starts another one for each test, and is run on Llama Stack alone.
exec "$python" -m pytest -q -n 2 --dist loadscope \
  runtime/tests/amf/test_{answer,approvals,asked,conversations,decisions,elsewhere,ogx,refusals,runs,server}.py \
  runtime/tests/amf/test_serve.py::test_a_provider_that_does_not_exist_is_named "$@"
