#!/usr/bin/env bash
# Prints the Python of one environment of this project, made from uv.lock on its first use.
#   hack/env.sh dev                everything, for tests and tools, in .venv
#   hack/env.sh NAME EXTRA...      just these extras, in a cache that all checkouts share; +GROUP adds a group
#   hack/env.sh client VERSION     llama-stack-client of that version, from hack/clients/VERSION.txt, and nothing of ours
# Needs any Python 3 with venv, or uv. Python 3.12 or 3.13 itself is looked for on PATH and in
# pyenv's versions, and fetched by uv if there is none; K8GENTAI_PYTHON names one to take.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UV_VERSION=0.13.9
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

find_uv() {
  local own=$CACHE/uv-$UV_VERSION
  if [ ! -x "$own/bin/uv" ]; then
    mkdir -p "$CACHE"
    say "fetching uv $UV_VERSION"
    rm -rf "$own.new"
    if python3 -m venv "$own.new" >/dev/null 2>&1 &&
      "$own.new/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION" >&2; then
      # Whoever is first wins; another run of this script may be doing the same.
      mv -T "$own.new" "$own" 2>/dev/null || rm -rf "$own.new"
    elif command -v uv >/dev/null; then
      rm -rf "$own.new"
      command -v uv
      return
    else
      die "uv $UV_VERSION could not be had: install uv, or a Python 3 with venv and pip (Debian: apt-get install python3-venv)"
    fi
  fi
  printf '%s' "$own/bin/uv"
}

find_python() {
  local status=0
  hack/python.sh || status=$?
  [ "$status" != 0 ] || return 0
  [ "$status" = 1 ] || exit "$status" # it has said why
  say "no Python 3.12 or 3.13 on PATH or in pyenv's versions; asking uv for one"
  "$1" python install 3.12 >&2 && "$1" python find 3.12 ||
    die "install Python 3.12 or 3.13 (Debian: python3.13; or pyenv install 3.12), or name one in K8GENTAI_PYTHON"
}

name=${1:?which environment}
shift
uv=$(find_uv)
python=$(find_python "$uv")
export UV_PYTHON_DOWNLOADS=never UV_PYTHON=$python

files=(uv.lock pyproject.toml)
if [ "$name" = client ]; then
  files=("hack/clients/${1:?which version}.txt")
  name=client-$1
  environment=$CACHE/envs/$name-$({ cat "${files[@]}"; "$python" --version; } | sha256sum | cut -c1-12)
elif [ "$name" = dev ]; then
  environment=$PWD/.venv
  # What cannot stand beside the rest (tool.uv.conflicts) has an environment of its own.
  options=(--all-extras --no-extra crewai --no-extra beeai --no-extra ogx --all-groups)
else
  options=(--no-default-groups --no-install-project)
  for part; do
    case $part in
      +*) options+=(--group "${part#+}") ;;
      *) options+=(--extra "$part") ;;
    esac
  done
  digest=$({ cat uv.lock pyproject.toml; "$python" --version; printf '%s ' "$@"; } | sha256sum | cut -c1-12)
  environment=$CACHE/envs/$name-$digest
fi

mkdir -p "$CACHE/envs"
exec 9>"$CACHE/envs/$name.lock"
flock 9
stamp=$({ cat "${files[@]}"; "$python" --version; } | sha256sum)
if [ "$(cat "$environment/.complete" 2>/dev/null)" != "$stamp" ]; then
  say "installing the environment '$name' from the lock"
  if [[ $name = client-* ]]; then
    "$uv" venv --quiet --clear "$environment" >&2
    "$uv" pip install --quiet --require-hashes --python "$environment/bin/python" -r "${files[0]}" >&2
  else
    UV_PROJECT_ENVIRONMENT=$environment "$uv" sync --quiet --frozen "${options[@]}" >&2
  fi
  printf '%s\n' "$stamp" >"$environment/.complete"
fi
printf '%s\n' "$environment/bin/python"
