#!/usr/bin/env bash
# A real PostgreSQL for tests, from this machine's packages or from Debian's, which are unpacked into the cache of this project:
# nothing of the system is changed.
#   hack/postgres.sh programs           prints the folder of its programs
#   hack/postgres.sh run FOLDER PORT    runs it on 127.0.0.1 with its data in FOLDER, until SIGTERM (SIGINT: at once); the
#                                       superuser is k8gentai with the password in PGPASSWORD, the database postgres
# K8GENTAI_POSTGRES names a folder of programs to take instead, or is `fetch` to take Debian's in any case.
set -euo pipefail

CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
none() { die "there is no PostgreSQL: install it (Debian: apt-get update && apt-get install postgresql), or name the folder of its programs in K8GENTAI_POSTGRES"; }

# newest ROOT: the folder of programs of the highest version below ROOT.
newest() { find "$1"/usr/lib/postgresql/*/bin -name initdb -printf '%h\n' 2>/dev/null | sort -V | tail -1; }

# fetch: Debian's newest PostgreSQL and the libraries that are missing here; prints the root it is unpacked into. LLVM, a hundred
# megabytes to compile long queries with, is left out.
fetch() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then none; fi
  local package packages root new
  package=$(apt-cache depends postgresql 2>/dev/null | grep -o 'postgresql-[0-9]*' | head -1) || none
  root=$CACHE/$package
  if [ ! -d "$root" ]; then
    say "fetching $package from Debian"
    mkdir -p "$CACHE"
    new=$(mktemp -d "$CACHE/$package.XXXXXX")
    # What is installed need not be fetched, but for PostgreSQL itself.
    packages=$(apt-get install --simulate --no-install-recommends "$package" 2>/dev/null | awk '/^Inst lib/ {print $2}' |
      grep -v -e '-perl$' -e '^libperl' -e '^libllvm' || true)
    # shellcheck disable=SC2086 # it is a list
    (cd "$new" && apt-get download -qq -o APT::Sandbox::User=root "$package" "postgresql-client-${package#*-}" $packages >&2 &&
      for file in *.deb; do dpkg-deb -x "$file" .; done && rm -- *.deb) || { rm -rf "$new"; none; }
    mv -T "$new" "$root" 2>/dev/null || rm -rf "$new" # whoever is first wins
  fi
  printf '%s\n' "$root"
}

programs() {
  local found
  case ${K8GENTAI_POSTGRES:-} in
    "") found=$(newest "") && [ -n "$found" ] || found=$(newest "$(fetch)") ;;
    fetch) found=$(newest "$(fetch)") ;;
    *) found=$K8GENTAI_POSTGRES ;;
  esac
  [ -x "$found/postgres" ] || none
  printf '%s\n' "$found"
}

run() {
  local bin root data=${1:?where the data goes} port=${2:?on which port} nobody=()
  bin=$(programs)
  root=${bin%/usr/lib/postgresql/*}
  mkdir -p "$data"
  # Root may not run PostgreSQL, so root runs it as nobody; what nobody owns there is root's here, where the kernel allows that.
  if [ "$(id -u)" = 0 ]; then
    nobody=(unshare --user --map-user=65534 --map-group=65534)
    if ! "${nobody[@]}" true 2>/dev/null; then
      nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
      chown -R 65534:65534 "$data"
    fi
  fi
  [ -z "$root" ] || LD_LIBRARY_PATH=$(find "$root/usr/lib" "$root/lib" -maxdepth 1 -name '*-linux-gnu*' -printf '%p:' 2>/dev/null || true)
  export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-} LC_ALL=C TZ=GMT
  if [ ! -e "$data/PG_VERSION" ]; then
    "${nobody[@]}" "$bin/initdb" --pgdata "$data" --username k8gentai --auth scram-sha-256 --encoding UTF8 --no-sync \
      --pwfile /dev/stdin <<<"${PGPASSWORD:?the password of its superuser}" >/dev/null
  fi
  # It is a test's: what a power failure would take may go.
  exec "${nobody[@]}" "$bin/postgres" -D "$data" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c fsync=off -c jit=off -c shared_buffers=32MB -c timezone=GMT -c log_timezone=GMT
}

case ${1:-} in
  programs) programs ;;
  run) shift; run "$@" ;;
  *) die "it is: hack/postgres.sh programs, or hack/postgres.sh run FOLDER PORT" ;;
esac
