#!/usr/bin/env bash
# Brings a one-node Kubernetes up on this machine and returns when it serves; run again, it starts what has stopped.
. "$(dirname "$0")/env.sh"
. "$HERE/processes.sh"
. "$HERE/control_plane.sh"
. "$HERE/node.sh"

# names_resolve: whether a pod finds a Service by its name.
names_resolve() {
  kubectl -n kube-system delete pod dns-check --ignore-not-found --now
  kubectl -n kube-system run dns-check --image="localhost/k8gentai/pause:$PAUSE_VERSION" --image-pull-policy=Never \
    --restart=OnFailure -- resolve kubernetes.default.svc.cluster.local
  kubectl -n kube-system wait --for=jsonpath='{.status.phase}'=Succeeded pod/dns-check --timeout=20s
  kubectl -n kube-system delete pod dns-check --now
}

[ "$(id -u)" = 0 ] || die "this cluster needs root; with a container engine, CLUSTER=kind does not"
[ ${#STATE} -le 60 ] || die "the path is too long for Unix sockets, set XDG_STATE_HOME to a shorter one: $STATE"
"$HERE/packages.sh"
"$HERE/build.sh"

began=$SECONDS
mkdir -p "$PKI" "$RUN" "$LOG" "$STATE/cni"
exec 9>"$STATE/lock"
flock 9 # two at once would start everything twice
chmod 700 "$PKI"
forget_the_dead

keys
network
container_runtime
control_plane
node
start volumes "$HERE/volumes.sh"
wait_for 30 "the first namespaces" kubectl get serviceaccount -n kube-system default
sed "s/@DNS_IP@/$DNS_IP/; s/@COREDNS_VERSION@/$COREDNS_VERSION/" "$HERE/cluster.yaml" | kubectl apply --server-side -f - >/dev/null
wait_for 60 "the node" kubectl wait --for=condition=Ready "node/$NODE" --timeout=1s
wait_for 90 CoreDNS kubectl -n kube-system rollout status deployment/coredns --timeout=1s
wait_for 60 "name resolution in a pod" names_resolve
say "the cluster serves after $((SECONDS - began)) s: export KUBECONFIG=$KUBECONFIG"
