#!/usr/bin/env bash
# A real Keycloak for tests, from Maven Central, unpacked and built once into the cache of this project.
#   hack/keycloak.sh test [PYTEST ARGUMENTS]   the tests of what is logged in to there
#   hack/keycloak.sh home        prints its folder
#   hack/keycloak.sh run PORT    runs it on 127.0.0.1 until SIGTERM, with nothing kept; its administrator is `admin` with the
#                                password in KC_BOOTSTRAP_ADMIN_PASSWORD
# Needs a Java of 17 or newer: the one on PATH or in JAVA_HOME, else Debian's, unpacked into the cache as well.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VERSION=26.7.3
SHA256=27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f
URL=https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/$VERSION/keycloak-quarkus-dist-$VERSION.zip
JAVA=17
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/k8gentai
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
none() { die "there is no Java $JAVA or newer: install it (Debian: apt-get update && apt-get install openjdk-$JAVA-jre-headless), or name one in JAVA_HOME"; }

# fits HOME: whether it is a Java that is new enough.
fits() {
  local version
  version=$("$1/bin/java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p') && [ "${version:-0}" -ge $JAVA ]
}

OWN_JAVA=$CACHE/openjdk-$JAVA

# found_java: the home of a Java that is here and new enough.
found_java() {
  local found home
  found=$(readlink -f "$(command -v java)") || found=""
  for home in "${JAVA_HOME:-}" "${found%/bin/java}" "$OWN_JAVA"/usr/lib/jvm/java-"$JAVA"-openjdk-*; do
    if [ -n "$home" ] && [ -x "$home/bin/java" ] && fits "$home"; then
      printf '%s\n' "$home"
      return
    fi
  done
  return 1
}

# fetch_java: Debian's, in the cache. What else that package asks for is for windows and sound.
fetch_java() {
  local new link homes
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then none; fi
  say "fetching Java $JAVA from Debian"
  mkdir -p "$CACHE"
  new=$(mktemp -d "$OWN_JAVA.XXXXXX")
  (cd "$new" && apt-get download -qq -o APT::Sandbox::User=root "openjdk-$JAVA-jre-headless" >&2 &&
    dpkg-deb -x ./*.deb . && rm -- *.deb) || { rm -rf "$new"; none; }
  # Its settings are links to /etc, where nothing was installed; nor was a list of authorities made, which it does not start without.
  find "$new/usr/lib/jvm" -lname '/etc/*' | while read -r link; do ln -sfnr "$new$(readlink "$link")" "$link"; done
  mkdir -p "$new/etc/ssl/certs/java"
  homes=("$new"/usr/lib/jvm/java-"$JAVA"-openjdk-*)
  "${homes[0]}/bin/keytool" -importcert -noprompt -alias one -file /etc/ssl/certs/ca-certificates.crt \
    -keystore "$new/etc/ssl/certs/java/cacerts" -storepass changeit >/dev/null 2>&1 || { rm -rf "$new"; none; }
  mv -T "$new" "$OWN_JAVA" 2>/dev/null || rm -rf "$new" # whoever is first wins
}

java_home() { found_java || { fetch_java && found_java; } || none; }

home() {
  local own=$CACHE/keycloak-$VERSION new
  if [ ! -d "$own" ]; then
    say "fetching Keycloak $VERSION"
    mkdir -p "$CACHE"
    new=$(mktemp -d "$own.XXXXXX")
    curl -fsSL --retry 3 -o "$new/keycloak.zip" "$URL" || { rm -rf "$new"; die "$URL cannot be fetched"; }
    printf '%s  %s\n' $SHA256 "$new/keycloak.zip" | sha256sum --check --quiet >&2 || { rm -rf "$new"; die "$URL is not what it was"; }
    python3 -m zipfile -e "$new/keycloak.zip" "$new"
    chmod +x "$new/keycloak-$VERSION"/bin/*.sh
    say "building it, once"
    JAVA_HOME=$(java_home) "$new/keycloak-$VERSION/bin/kc.sh" build --db=dev-mem >&2 || { rm -rf "$new"; die "Keycloak cannot be built"; }
    mv -T "$new/keycloak-$VERSION" "$own" 2>/dev/null || true # whoever is first wins
    rm -rf "$new"
  fi
  printf '%s\n' "$own"
}

run() {
  local port=${1:?on which port} keycloak
  keycloak=$(home)
  JAVA_HOME=$(java_home)
  # By itself it takes most of the machine's memory.
  export JAVA_HOME KC_BOOTSTRAP_ADMIN_USERNAME=admin JAVA_OPTS_KC_HEAP="-Xmx512m" JAVA_OPTS_APPEND="-XX:TieredStopAtLevel=1"
  exec "$keycloak/bin/kc.sh" start --optimized --http-enabled=true --http-host=127.0.0.1 --http-port="$port" \
    --hostname="http://127.0.0.1:$port" --log-level=WARN
}

case ${1:-} in
  home) home ;;
  run) shift; run "$@" ;;
  test) shift; home >/dev/null; exec "$(hack/env.sh dev)" -m pytest -q -n 0 e2e/test_keycloak.py "$@" ;;
  *) die "it is: hack/keycloak.sh test, hack/keycloak.sh home, or hack/keycloak.sh run PORT" ;;
esac
