#!/usr/bin/env bash
# Prints a Python 3.12 or 3.13 of this machine: K8GENTAI_PYTHON, or one on PATH, or in pyenv's versions. Exits 1 if there is none,
# 2 if K8GENTAI_PYTHON is not one.
set -euo pipefail

# fits PYTHON: it runs and is of a version we can use. pyenv's shims exist without running.
fits() { "$1" -c 'import sys; sys.exit(not (3, 12) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

if [ -n "${K8GENTAI_PYTHON:-}" ] && ! fits "$K8GENTAI_PYTHON"; then
  echo "error: K8GENTAI_PYTHON is $K8GENTAI_PYTHON, which is no Python 3.12 or 3.13 that runs" >&2
  exit 2
fi
for candidate in ${K8GENTAI_PYTHON:-} python3.13 python3.12 python3 \
  "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[23]*/bin/python3; do
  if fits "$candidate"; then
    exec "$candidate" -c 'import sys; print(sys.executable)'
  fi
done
exit 1
