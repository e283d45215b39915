#!/usr/bin/env bash
# The provisioner of the StorageClass `standard`: makes a volume in a folder of the node for every claim, and takes it
# away when the claim is gone. Started by up.sh; the size is not enforced.
#
# They are `local` volumes, not `hostPath`, because the kubelet honours a pod's fsGroup only there: a pod that is not
# root can write.
. "$(dirname "$0")/env.sh"

provision() { # NAMESPACE CLAIM UID SIZE
  mkdir -p "$STATE/volumes/pvc-$3"
  kubectl apply --server-side -f - <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: pvc-$3}
spec:
  capacity: {storage: $4}
  accessModes: [ReadWriteOnce]
  storageClassName: standard
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, namespace: $1, name: $2, uid: $3}
  local: {path: $STATE/volumes/pvc-$3}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$NODE]}]}]}}
YAML
}

claims() {
  local fields='{.spec.storageClassName} {.status.phase} {.metadata.namespace} {.metadata.name} {.metadata.uid} {.spec.resources.requests.storage}{"\n"}'
  kubectl get persistentvolumeclaims --all-namespaces --watch -o "jsonpath=$fields" |
    while read -r class phase namespace name uid size; do
      [ "$class $phase" != "standard Pending" ] || provision "$namespace" "$name" "$uid" "$size"
    done
}

volumes() {
  kubectl get persistentvolumes --watch -o 'jsonpath={.metadata.name} {.status.phase}{"\n"}' |
    while read -r name phase; do
      [ "$phase" = Released ] || continue
      kubectl delete persistentvolume "$name"
      rm -rf "${STATE:?}/volumes/$name"
    done
}

# forever WATCH: a watch ends whenever the API server pleases; without this script nobody would end the next one.
forever() { while kill -0 $$ 2>/dev/null && sleep 1; do "$1" || true; done; }

forever claims &
forever volumes &
wait
