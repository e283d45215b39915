# shellcheck shell=bash
# Sourced by up.sh: the network of the node, its container runtime, kubelet and kube-proxy.

# What the kernel is told, by this file and by the kubelet; down.sh puts it back as it was.
SETTINGS=(
  net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables vm/overcommit_memory vm/panic_on_oom
  kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys kernel/keys/root_maxbytes
)

remember_settings() {
  local setting
  [ ! -e "$STATE/settings" ] || return 0
  for setting in "${SETTINGS[@]}"; do
    [ ! -e "/proc/sys/$setting" ] || echo "$setting $(cat "/proc/sys/$setting")"
  done >"$STATE/settings.new"
  mv "$STATE/settings.new" "$STATE/settings"
}

network() {
  if ! ip link show "$BRIDGE" >/dev/null 2>&1; then
    ip link add "$BRIDGE" type bridge
    ip addr add "$NODE_IP/24" dev "$BRIDGE"
    ip link set "$BRIDGE" up
  fi
  # Without the second one, a Service does not answer a pod of the same node.
  modprobe br_netfilter 2>/dev/null || true
  remember_settings
  echo 1 >/proc/sys/net/ipv4/ip_forward
  [ ! -e /proc/sys/net/bridge/bridge-nf-call-iptables ] || echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
  # A table of our own does the masquerading, because the CNI plugin's would leave chains behind.
  nft -f - <<NFT
table ip k8gentai
delete table ip k8gentai
table ip k8gentai {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr $POD_CIDR ip daddr != { $POD_CIDR, 224.0.0.0/4 } masquerade
  }
}
NFT
  cat >"$STATE/cni/k8gentai.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "k8gentai", "plugins": [{
  "type": "bridge", "bridge": "$BRIDGE", "isGateway": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "dataDir": "$STATE/ipam", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}
}]}
JSON
}

container_runtime() {
  cat >"$STATE/containerd.toml" <<TOML
version = 2
root = "$STATE/containerd"
state = "$RUN/containerd"
[grpc]
  address = "$CONTAINERD"
[plugins."io.containerd.internal.v1.opt"]
  path = "$STATE/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/k8gentai/pause:$PAUSE_VERSION"
  restrict_oom_score_adj = true # the machine may lack CAP_SYS_RESOURCE
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$STATE/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = "$RUN/runc"
TOML
  start containerd containerd -c "$STATE/containerd.toml"
  wait_for 30 containerd ctr version
}

# program_image NAME PROGRAM: an image that holds PROGRAM alone, in the store of hack/images and in the cluster.
program_image() {
  local work
  if ! "$IMAGES/buildah.sh" inspect --type image "$1" >/dev/null 2>&1; then
    work=$("$IMAGES/buildah.sh" from scratch)
    "$IMAGES/buildah.sh" copy --quiet "$work" "$2" "/${2##*/}" >/dev/null
    "$IMAGES/buildah.sh" config --entrypoint "[\"/${2##*/}\"]" --user 65532:65532 "$work"
    "$IMAGES/buildah.sh" commit --quiet --rm "$work" "$1" >/dev/null
  fi
  "$HERE/load.sh" "$1"
}

node() {
  local resolv=/etc/resolv.conf # a stub resolver on 127.x is out of reach for pods
  [ ! -e /run/systemd/resolve/resolv.conf ] || resolv=/run/systemd/resolve/resolv.conf
  [ -e /var/lib/kubelet ] || touch "$STATE/made-var-lib-kubelet" # the kubelet insists on it for device plugins
  program_image "localhost/k8gentai/pause:$PAUSE_VERSION" "$PAUSE/pause"
  program_image "localhost/k8gentai/coredns:$COREDNS_VERSION" "$COREDNS/coredns"
  cat >"$STATE/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
containerRuntimeEndpoint: unix://$CONTAINERD
podLogsDir: $STATE/podlogs
volumePluginDir: $STATE/volume-plugins
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet-server.crt
tlsPrivateKeyFile: $PKI/kubelet-server.key
clusterDomain: cluster.local
clusterDNS: [$DNS_IP]
resolvConf: $resolv
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0 # the machine may lack CAP_SYS_RESOURCE
makeIPTablesUtilChains: false
enforceNodeAllocatable: []
evictionHard: {nodefs.available: 1%, imagefs.available: 1%, memory.available: 50Mi}
imageGCHighThresholdPercent: 100 # what was loaded cannot be pulled again
YAML
  start kubelet "$KUBERNETES/kubelet" --config="$STATE/kubelet.yaml" --kubeconfig="$PKI/kubelet.conf" \
    --hostname-override="$NODE" --node-ip="$NODE_IP" --root-dir="$STATE/kubelet"
  start proxy "$KUBERNETES/kube-proxy" --kubeconfig="$PKI/proxy.conf" --hostname-override="$NODE" \
    --proxy-mode=nftables --cluster-cidr="$POD_CIDR" --oom-score-adj=0 \
    --metrics-bind-address=127.0.0.1:10249 --healthz-bind-address=127.0.0.1:10256 \
    --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
}
