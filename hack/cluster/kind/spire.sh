#!/usr/bin/env bash
# Brings SPIRE up by its Helm chart; run again, it brings it up to date. Prints what the operator has to be told, a line
# each: trust domain, where the keys are, the file with the authority of that address, the class of ClusterSPIFFEIDs.
# spire.sh WORDS... speaks to the server instead: spire.sh entry show.
. "$(dirname "$0")/env.sh"

namespace=spire-server
trust_domain=k8gentai.local
host=spire-spiffe-oidc-discovery-provider.$namespace.svc.cluster.local
charts=https://spiffe.github.io/helm-charts-hardened/
tls=${KUBECONFIG%/*}/kind-spire
if [ $# -gt 0 ]; then
  exec kubectl -n "$namespace" exec spire-server-0 -c spire-server -- /opt/spire/bin/spire-server "$@"
fi
command -v helm >/dev/null || { echo "error: helm is missing: https://helm.sh/docs/intro/install" >&2; exit 1; }

# The chart would have SPIRE itself vouch for the address of its keys, by an authority that changes every day.
mkdir -p "$tls"
[ -s "$tls/tls.crt" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$host" \
  -addext "subjectAltName=DNS:$host" -addext keyUsage=critical,digitalSignature,keyCertSign \
  -keyout "$tls/tls.key" -out "$tls/tls.crt" 2>/dev/null
kubectl create namespace "$namespace" --dry-run=client -o yaml | kubectl apply --server-side -f - >/dev/null
kubectl -n "$namespace" create secret tls spire-keys --cert="$tls/tls.crt" --key="$tls/tls.key" --dry-run=client -o yaml |
  kubectl apply --server-side -f - >/dev/null

helm upgrade --install spire-crds spire-crds --repo "$charts" -n "$namespace" --wait >&2
helm upgrade --install spire spire --repo "$charts" -n "$namespace" --wait --timeout 5m -f - >&2 <<YAML
global:
  spire: {trustDomain: $trust_domain, clusterName: k8gentai}
spiffe-oidc-discovery-provider:
  config: {setKeyUse: true}
  tls:
    spire: {enabled: false}
    externalSecret: {enabled: true, secretName: spire-keys}
YAML
printf '%s\n' "$trust_domain" "https://$host/keys" "$tls/tls.crt" "$namespace-spire"
