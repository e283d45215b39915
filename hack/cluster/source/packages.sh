#!/usr/bin/env bash
# Looks for the programs that come from Debian. What is missing is installed where that is asked for (CI=true or
# K8GENTAI_APT=1, as root); else the error says how to install it.
. "$(dirname "$0")/env.sh"

declare -A package=(
  [containerd]=containerd [ctr]=containerd [runc]=runc [etcd]=etcd-server [/usr/lib/cni/bridge]=containernetworking-plugins
  [nft]=nftables [ip]=iproute2 [openssl]=openssl [flock]=util-linux [buildah]=buildah [skopeo]=skopeo [debootstrap]=debootstrap
)
missing=()
for program in "${!package[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package[$program]}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && { [ "${K8GENTAI_APT:-}" = 1 ] || [ "${CI:-}" = true ]; }; then
  say "installing ${missing[*]}"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null </dev/null
else
  die "programs are missing; install them with: apt-get install ${missing[*]}"
fi
