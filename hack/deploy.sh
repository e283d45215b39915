#!/usr/bin/env bash
# Installs the kinds, the operator, the trust plane and the stand-in model into the cluster that kubectl speaks to, and
# returns when they run. Run again, it brings them up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

namespace=k8gentai-system
apply() { kubectl apply --server-side --force-conflicts -k "$1" >/dev/null; }
deployments() { kubectl -n "$namespace" get deployments -o name; }

before=$(deployments)
apply crds
kubectl wait --for=condition=Established --timeout=30s crd/{stacks,agents,tools,identitypolicies}.k8gentai.dev >/dev/null
apply config/overlays/dev
# Their images keep the tag `dev`: whatever ran before may run an older one.
for deployment in $before; do
  kubectl -n "$namespace" rollout restart "$deployment" >/dev/null
done
for deployment in $(deployments); do
  kubectl -n "$namespace" rollout status "$deployment" --timeout=120s >/dev/null || {
    kubectl -n "$namespace" get pods >&2
    kubectl -n "$namespace" logs "$deployment" --tail=20 >&2 || true
    exit 1
  }
done
echo "deployed: $(deployments | sed 's/.*\///' | paste -sd ' ') in namespace $namespace" >&2
