#!/usr/bin/env bash
# Brings SPIRE up beside the running cluster: server, agent, controller manager, the server's public keys over HTTPS (its
# OIDC discovery provider) and the CSI driver. Run again, it starts what has stopped.
#
# Prints what the operator has to be told, a line each: trust domain, where the keys are, the file with the authority of
# that address. spire.sh WORDS... speaks to the server instead: spire.sh entry show.
. "$(dirname "$0")/env.sh"
. "$HERE/processes.sh"
. "$HERE/control_plane.sh"

TRUST_DOMAIN=k8gentai.local
KEYS_HOST=spire-keys.spire.svc
SPIRE_STATE=$STATE/spire
SPIRE_API=$RUN/spire-server.sock # the server's own, for its administrator
WORKLOAD_API=$RUN/workload-api   # a folder, since pods see it as one

# certificates: the node proves itself to the server with one of an authority that signs nothing else.
certificates() {
  authority spire-node-ca
  certificate spire-node "/CN=$NODE" "" spire-node-ca
  certificate spire-agent /CN=spire-agent
  certificate spire-controller-manager /CN=spire-controller-manager
  certificate spire-keys "/CN=$KEYS_HOST" "DNS:$KEYS_HOST,DNS:localhost"
  kubeconfig spire-controller-manager "$PKI/spire-controller-manager.conf"
}

server() {
  cat >"$SPIRE_STATE/server.conf" <<HCL
server {
  trust_domain = "$TRUST_DOMAIN"
  bind_address = "127.0.0.1"
  bind_port = "18081"
  socket_path = "$SPIRE_API"
  data_dir = "$SPIRE_STATE/server"
}
plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "sqlite3"
      connection_string = "$SPIRE_STATE/server/datastore.sqlite3"
    }
  }
  KeyManager "disk" {
    plugin_data { keys_path = "$SPIRE_STATE/server/keys.json" }
  }
  NodeAttestor "x509pop" {
    plugin_data {
      ca_bundle_path = "$PKI/spire-node-ca.crt"
      agent_path_template = "/x509pop/{{ .Subject.CommonName }}"
    }
  }
}
HCL
  start spire-server "$SPIRE/spire-server" run -config "$SPIRE_STATE/server.conf"
  wait_for 30 "the SPIRE server" "$SPIRE/spire-server" healthcheck -socketPath "$SPIRE_API"
}

# The agent learns from the kubelet which pod a process is of; the kubelet looks at its certificate and asks for its rights.
agent() {
  "$SPIRE/spire-server" bundle show -socketPath "$SPIRE_API" >"$SPIRE_STATE/bundle.pem"
  cat >"$SPIRE_STATE/agent.conf" <<HCL
agent {
  trust_domain = "$TRUST_DOMAIN"
  server_address = "127.0.0.1"
  server_port = "18081"
  socket_path = "$WORKLOAD_API/spire-agent.sock"
  data_dir = "$SPIRE_STATE/agent"
  trust_bundle_path = "$SPIRE_STATE/bundle.pem"
}
plugins {
  KeyManager "memory" {
    plugin_data {}
  }
  NodeAttestor "x509pop" {
    plugin_data {
      private_key_path = "$PKI/spire-node.key"
      certificate_path = "$PKI/spire-node.crt"
    }
  }
  WorkloadAttestor "k8s" {
    plugin_data {
      node_name = "$NODE_IP" # how it is called in the kubelet's certificate, and reached
      kubelet_ca_path = "$PKI/ca.crt"
      certificate_path = "$PKI/spire-agent.crt"
      private_key_path = "$PKI/spire-agent.key"
    }
  }
}
HCL
  start spire-agent "$SPIRE/spire-agent" run -config "$SPIRE_STATE/agent.conf"
  start spiffe-csi "$SPIFFE_CSI/spiffe-csi" -node "$NODE" -api "$WORKLOAD_API" -kubelet "$STATE/kubelet"
}

# Its webhook asks for a configuration inside of the cluster, so a bad template is told by the status, not at admission.
controller_manager() {
  kubectl apply --server-side -f "$SPIRE_CONTROLLER/config/crd/bases" >/dev/null
  sed 's/name: manager-role/name: spire-controller-manager/' "$SPIRE_CONTROLLER/config/rbac/role.yaml" |
    kubectl apply --server-side -f - >/dev/null
  kubectl wait --for=condition=Established crd/clusterspiffeids.spire.spiffe.io --timeout=30s >/dev/null
  cat >"$SPIRE_STATE/controller-manager.yaml" <<YAML
apiVersion: spire.spiffe.io/v1alpha1
kind: ControllerManagerConfig
clusterName: k8gentai
clusterDomain: cluster.local
trustDomain: $TRUST_DOMAIN
spireServerSocketPath: $SPIRE_API
parentIDTemplate: "spiffe://{{ .TrustDomain }}/spire/agent/x509pop/{{ .NodeMeta.Name }}"
ignoreNamespaces: ["^kube-"]
metrics: {bindAddress: "0"}
health: {healthProbeBindAddress: "127.0.0.1:18083"}
leaderElection: {leaderElect: false}
YAML
  start spire-controller-manager env ENABLE_WEBHOOKS=false KUBECONFIG="$PKI/spire-controller-manager.conf" \
    "$SPIRE_CONTROLLER/spire-controller-manager" -config "$SPIRE_STATE/controller-manager.yaml"
}

public_keys() {
  cat >"$SPIRE_STATE/keys.conf" <<HCL
domains = ["$KEYS_HOST", "localhost"]
set_key_use = true
serving_cert_file {
  cert_file_path = "$PKI/spire-keys.crt"
  key_file_path = "$PKI/spire-keys.key"
  addr = "$NODE_IP:18443"
}
server_api { address = "unix://$SPIRE_API" }
HCL
  start spire-keys "$SPIRE/oidc-discovery-provider" -config "$SPIRE_STATE/keys.conf"
}

ready() {
  "$SPIRE/spire-agent" healthcheck -socketPath "$WORKLOAD_API/spire-agent.sock" &&
    kubectl get csinode "$NODE" -o jsonpath='{.spec.drivers[*].name}' | grep -w csi.spiffe.io &&
    curl -fsS http://127.0.0.1:18083/readyz &&
    curl -fsS --cacert "$PKI/ca.crt" --connect-to "localhost:443:$NODE_IP:18443" https://localhost/keys
}

if [ $# -gt 0 ]; then exec "$SPIRE/spire-server" "$@" -socketPath "$SPIRE_API"; fi
[ "$(id -u)" = 0 ] || die "this cluster needs root"
alive kubelet || die "there is no cluster; make cluster brings one up"
"$HERE/spire_build.sh"

began=$SECONDS
exec 9>"$STATE/lock"
flock 9 # two at once would start everything twice
forget_the_dead
mkdir -p "$SPIRE_STATE/server" "$SPIRE_STATE/agent" "$WORKLOAD_API"
chmod 755 "$WORKLOAD_API"
certificates
server
sed "s/@NODE_IP@/$NODE_IP/" "$HERE/spire.yaml" | kubectl apply --server-side -f - >/dev/null
agent
controller_manager
public_keys
wait_for 60 SPIRE ready
say "SPIRE serves after $((SECONDS - began)) s, in the trust domain $TRUST_DOMAIN"
printf '%s\n' "$TRUST_DOMAIN" "https://$KEYS_HOST/keys" "$PKI/ca.crt"
