#!/usr/bin/env bash
# Brings SPIRE up in the cluster and tells the operator of it, by the ConfigMap k8gentai-spire. Before or after deploy.sh;
# run again, it brings both up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

namespace=k8gentai-system
kube() { hack/cluster/cluster.sh kubectl "$@"; }

# Trust domain, where SPIRE publishes its keys, who vouches for that address, and the class of ClusterSPIFFEIDs, if any.
mapfile -t told < <(hack/cluster/cluster.sh spire)
[ ${#told[@]} -ge 3 ] || { echo "error: SPIRE did not come up" >&2; exit 1; }

kube apply --server-side -f config/base/namespace.yaml >/dev/null
before=$(kube -n "$namespace" get configmap k8gentai-spire -o jsonpath='{.data}' --ignore-not-found)
kube -n "$namespace" create configmap k8gentai-spire --dry-run=client -o yaml \
  --from-literal=K8GENTAI_TRUST_DOMAIN="${told[0]}" --from-literal=K8GENTAI_SPIRE_JWKS_URL="${told[1]}" \
  --from-file=ca.crt="${told[2]}" --from-literal=K8GENTAI_SPIRE_CLASS="${told[3]:-}" |
  kube apply --server-side --force-conflicts -f - >/dev/null
after=$(kube -n "$namespace" get configmap k8gentai-spire -o jsonpath='{.data}')

# Both read it when they start; who is not there yet will.
if [ "$before" != "$after" ] && kube -n "$namespace" get deployment/k8gentai-operator >/dev/null 2>&1; then
  kube -n "$namespace" rollout restart deployment/k8gentai-trust deployment/k8gentai-operator >/dev/null
  kube -n "$namespace" rollout status deployment/k8gentai-trust --timeout=120s >/dev/null
  kube -n "$namespace" rollout status deployment/k8gentai-operator --timeout=120s >/dev/null
fi
echo "the operator takes SPIRE in the trust domain ${told[0]}" >&2
