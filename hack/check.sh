#!/usr/bin/env bash
# Everything about the tree that needs no server: format, lint, types, import rules, drift, pure tests.
#   hack/check.sh PYTHON
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$1
bin=$(dirname "$python")

step() { printf '· %s\n' "$1" >&2; shift; "$@"; }
step "format" "$python" -m ruff format --check --quiet .
step "lint" "$python" -m ruff check --quiet .
step "types" "$python" -m mypy
step "import rules" "$bin/lint-imports" --no-cache
step "crds" "$python" hack/gen_crds.py --check
step "api page" "$python" hack/gen_api.py --check
step "pure tests" "$python" -m pytest -q -n 2 --dist loadscope -m "not integration and not cluster"
