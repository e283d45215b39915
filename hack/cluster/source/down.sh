#!/usr/bin/env bash
# Takes the cluster away: pods, processes, network, mounts, control groups and state. Built programs and images stay.
. "$(dirname "$0")/env.sh"
. "$HERE/processes.sh"

# Every container and its shim go, not only those in the index: shims outlive containerd.
end_pods() {
  local task shim
  for task in $(ctr tasks ls -q); do ctr tasks kill --signal 9 --all "$task"; done
  for task in $(ctr tasks ls -q); do ctr tasks rm --force "$task"; done
  stop containerd
  for shim in $(ps -eo pid=,args= | awk -v socket="$CONTAINERD" '$2 ~ /containerd-shim/ && index($0, "-address " socket) {print $1}'); do
    kill -9 "$shim"
  done
}

# Only the network namespaces that are plugged into our bridge.
remove_network() {
  local namespace table sandbox
  for namespace in $(ip -o link show master "$BRIDGE" | sed -n 's/.*link-netns \([^ ]*\).*/\1/p'); do ip netns delete "$namespace"; done
  ip link delete "$BRIDGE"
  for table in "ip k8gentai" "ip kube-proxy" "ip6 kube-proxy"; do nft "delete table $table"; done
  for sandbox in /var/lib/cni/results/k8gentai-*-eth0; do
    sandbox=${sandbox##*/k8gentai-}
    rm -f /var/lib/cni/results/*-"${sandbox%-eth0}"-*
  done
  rmdir /var/lib/cni/results /var/lib/cni
}

remove_mounts() {
  awk -v below="$STATE/" 'index($5, below) == 1 {print $5}' /proc/self/mountinfo | tac | while read -r mount; do
    umount "$mount" || umount -l "$mount"
  done
}

remove_traces() {
  local setting value link
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} +
  for link in /var/log/containers/*; do
    case $(readlink "$link") in "$STATE"/*) rm "$link" ;; esac
  done
  rmdir /var/log/containers /run/containerd/s /run/containerd
  [ ! -e "$STATE/made-var-lib-kubelet" ] || rm -rf /var/lib/kubelet
  while read -r setting value; do echo "$value" >"/proc/sys/$setting"; done <"$STATE/settings"
}

[ "$(id -u)" = 0 ] || die "this cluster needs root"
[ -d "$STATE" ] || { say "there is no cluster"; exit 0; }
set +e # much of what follows may be gone already; what must be gone is looked at in the end

# First what would start pods again, then the pods, then what they stood on.
for name in volumes kubelet proxy controller-manager scheduler; do stop "$name"; done
for name in spire-keys spire-controller-manager spiffe-csi spire-agent spire-server; do stop "$name"; done
{
  end_pods
  stop apiserver
  stop etcd
  remove_network
  remove_mounts
  remove_traces
} 2>/dev/null
! grep -qF " $STATE/" /proc/self/mountinfo || die "something below $STATE is still mounted"
rm -rf "${STATE:?}" || die "$STATE could not be removed"
say "the cluster is gone"
