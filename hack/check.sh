#!/usr/bin/env bash
# Everything about the tree that needs no server: format, lint, types, import rules, drift, pure tests.
#   hack/check.sh PYTHON [PYTEST ARGUMENTS]    the arguments say which tests instead, and how many at a time
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=$1
bin=$(dirname "$python")
tests=("${@:2}")
[ "${#tests[@]}" != 0 ] || tests=(-n 2 -m "not integration and not cluster")

step() { printf '· %s\n' "$1" >&2; shift; "$@"; }

# What uses one core, and has nothing to do with the tests, runs beside them.
static() {
  step "types" "$python" -m mypy
  step "types of the end-to-end tests" "$python" -m mypy --explicit-package-bases e2e
  step "types of the benchmarks" env MYPYPATH=hack/bench "$python" -m mypy hack/bench hack/tests/bench
  step "import rules" "$bin/lint-imports" --no-cache
  step "crds" "$python" hack/gen_crds.py --check
  step "api page" "$python" hack/gen_api.py --check
}

step "format" "$python" -m ruff format --check --quiet .
step "lint" "$python" -m ruff check --quiet .
said=$(mktemp)
static >"$said" 2>&1 &
static=$!
# A shell's background jobs do not hear Ctrl-C.
trap 'kill "$static" 2>/dev/null || true; rm -f "$said"' EXIT
failed=0
# As they are collected: those that start whole platforms, which take longest, come early.
step "tests" "$python" -m pytest -q --dist loadscope --no-loadscope-reorder "${tests[@]}" || failed=1
wait "$static" || failed=1
cat "$said" >&2
exit "$failed"
