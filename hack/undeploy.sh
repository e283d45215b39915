#!/usr/bin/env bash
# Takes away what deploy.sh installs: custom resources first, while the operator is there to clean up after them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

remove() { kubectl delete --ignore-not-found --timeout=120s "$@" >/dev/null; }
for kinds in agents,tools,identitypolicies stacks; do
  for kind in ${kinds//,/ }; do
    ! kubectl get "customresourcedefinition/$kind.k8gentai.dev" >/dev/null 2>&1 ||
      remove "$kind.k8gentai.dev" --all --all-namespaces
  done
done
remove -k config/overlays/dev
