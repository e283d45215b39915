# shellcheck shell=bash
# Sourced by up.sh: keys, etcd, API server, controllers and scheduler.

# authority NAME: a certificate authority of our own; kept if it is there.
authority() {
  [ ! -s "$PKI/$1.crt" ] || return 0
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$1" \
    -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$PKI/$1.key" -out "$PKI/$1.crt" 2>/dev/null
}

# certificate NAME SUBJECT [ALTERNATIVE-NAMES] [AUTHORITY]: a key and its certificate for client and server; kept if it is
# there.
# Python 3.13 refuses chains without key usage and key identifiers.
certificate() {
  [ ! -s "$PKI/$1.crt" ] || return 0
  {
    echo 'keyUsage = critical,digitalSignature,keyEncipherment'
    echo 'extendedKeyUsage = serverAuth,clientAuth'
    echo 'basicConstraints = critical,CA:FALSE'
    echo 'subjectKeyIdentifier = hash'
    echo 'authorityKeyIdentifier = keyid'
    [ -z "${3:-}" ] || echo "subjectAltName = $3"
  } >"$PKI/$1.ext"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$PKI/$1.key" 2>/dev/null |
    openssl x509 -req -days 365 -CA "$PKI/${4:-ca}.crt" -CAkey "$PKI/${4:-ca}.key" -CAcreateserial -extfile "$PKI/$1.ext" -out "$PKI/$1.crt" 2>/dev/null
}

# kubeconfig NAME FILE: how the holder of NAME's certificate reaches the API server; needs no other file.
kubeconfig() {
  (umask 077 && cat >"$2") <<YAML
apiVersion: v1
kind: Config
clusters: [{name: k8gentai, cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 "$PKI/ca.crt")}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$PKI/$1.crt"), client-key-data: $(base64 -w0 "$PKI/$1.key")}}]
contexts: [{name: k8gentai, context: {cluster: k8gentai, user: $1}}]
current-context: k8gentai
YAML
}

keys() {
  authority ca
  [ -s "$PKI/sa.key" ] || openssl genrsa -out "$PKI/sa.key" 2048 2>/dev/null
  local name=kubernetes.default.svc
  certificate apiserver /CN=kube-apiserver \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:$name,DNS:$name.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$NODE_IP,IP:${SERVICE_CIDR%.*}.1"
  certificate kubelet-server "/CN=$NODE" "DNS:$NODE,IP:$NODE_IP"
  certificate kubelet-client /CN=kube-apiserver-kubelet-client
  certificate kubelet "/O=system:nodes/CN=system:node:$NODE"
  certificate admin /O=system:masters/CN=admin
  kubeconfig admin "$KUBECONFIG"
  kubeconfig kubelet "$PKI/kubelet.conf"
  local component
  for component in controller-manager scheduler proxy; do
    certificate "$component" "/CN=system:kube-$component"
    kubeconfig "$component" "$PKI/$component.conf"
  done
}

control_plane() {
  local issuer=https://kubernetes.default.svc.cluster.local
  start etcd etcd --data-dir "$STATE/etcd" --unsafe-no-fsync \
    --listen-client-urls "$ETCD" --advertise-client-urls "$ETCD" --listen-peer-urls http://127.0.0.1:12380
  start apiserver "$KUBERNETES/kube-apiserver" --etcd-servers="$ETCD" \
    --bind-address="$NODE_IP" --advertise-address="$NODE_IP" --service-cluster-ip-range="$SERVICE_CIDR" \
    --client-ca-file="$PKI/ca.crt" --tls-cert-file="$PKI/apiserver.crt" --tls-private-key-file="$PKI/apiserver.key" \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction \
    --service-account-issuer="$issuer" --service-account-jwks-uri="$issuer/openid/v1/jwks" \
    --service-account-key-file="$PKI/sa.key" --service-account-signing-key-file="$PKI/sa.key" \
    --kubelet-certificate-authority="$PKI/ca.crt" --kubelet-preferred-address-types=InternalIP \
    --kubelet-client-certificate="$PKI/kubelet-client.crt" --kubelet-client-key="$PKI/kubelet-client.key"
  wait_for 60 "the API server" kubectl get --raw /readyz
  start controller-manager "$KUBERNETES/kube-controller-manager" --kubeconfig="$PKI/controller-manager.conf" \
    --bind-address=127.0.0.1 --leader-elect=false --use-service-account-credentials --flex-volume-plugin-dir="$STATE/volume-plugins" \
    --root-ca-file="$PKI/ca.crt" --service-account-private-key-file="$PKI/sa.key"
  start scheduler "$KUBERNETES/kube-scheduler" --kubeconfig="$PKI/scheduler.conf" --bind-address=127.0.0.1 --leader-elect=false
}
