// spiffe-csi is the CSI driver csi.spiffe.io as a process of the node: it shows pods the folder of the SPIRE agent's
// Workload API socket, read-only, as an inline ephemeral volume.
//
// The driver of the SPIFFE project (github.com/spiffe/spiffe-csi) does the same in a privileged pod, with a second
// container that registers it with the kubelet. Here one process does both, and nothing has to be propagated.
//
// Source: Container Storage Interface 1.9, "Node Service RPC"; Kubernetes, "Device and plugin registration".
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	registerapi "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const driver = "csi.spiffe.io"

// sealed is how a pod sees the folder: it can connect to the socket and change nothing.
const sealed = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

type node struct {
	csi.UnimplementedIdentityServer
	csi.UnimplementedNodeServer
	name string
	api  string // folder of the Workload API socket
	pods string // volumes are published below it, and nowhere else
}

func (n *node) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: driver, VendorVersion: "1"}, nil
}

func (n *node) GetPluginCapabilities(context.Context, *csi.GetPluginCapabilitiesRequest) (*csi.GetPluginCapabilitiesResponse, error) {
	return &csi.GetPluginCapabilitiesResponse{}, nil
}

func (n *node) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{}, nil
}

func (n *node) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.name}, nil
}

func (n *node) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (n *node) NodePublishVolume(_ context.Context, asked *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	target, err := n.target(asked.GetTargetPath())
	if err != nil {
		return nil, err
	}
	if asked.GetVolumeContext()["csi.storage.k8s.io/ephemeral"] != "true" || !asked.GetReadonly() {
		return nil, status.Error(codes.InvalidArgument, "the volume has to be inline, with readOnly: true")
	}
	if isMounted(target) {
		return &csi.NodePublishVolumeResponse{}, nil
	}
	if err := n.mount(target); err != nil {
		return nil, status.Errorf(codes.Internal, "mounting %s at %s: %v", n.api, target, err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (n *node) mount(target string) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(n.api, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	// A bind mount is made read-only by a second step.
	if err := unix.Mount("", target, "", sealed, ""); err != nil {
		unix.Unmount(target, 0)
		return err
	}
	return nil
}

func (n *node) NodeUnpublishVolume(_ context.Context, asked *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	target, err := n.target(asked.GetTargetPath())
	if err != nil {
		return nil, err
	}
	for isMounted(target) {
		if err := unix.Unmount(target, 0); err != nil {
			return nil, status.Errorf(codes.Internal, "unmounting %s: %v", target, err)
		}
	}
	if err := os.Remove(target); err != nil && !os.IsNotExist(err) {
		return nil, status.Error(codes.Internal, err.Error())
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

func (n *node) target(path string) (string, error) {
	clean := filepath.Clean(path)
	if !strings.HasPrefix(clean, n.pods+"/") {
		return "", status.Errorf(codes.InvalidArgument, "%q is not below %s", path, n.pods)
	}
	return clean, nil
}

// isMounted tells by the kernel's own list, in which a mount point is the fifth word of its line.
func isMounted(target string) bool {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(mounts)) {
		if words := strings.Fields(line); len(words) > 4 && words[4] == target {
			return true
		}
	}
	return false
}

// registration tells the kubelet where the driver is.
type registration struct {
	registerapi.UnimplementedRegistrationServer
	socket string
}

func (r *registration) GetInfo(context.Context, *registerapi.InfoRequest) (*registerapi.PluginInfo, error) {
	return &registerapi.PluginInfo{Type: registerapi.CSIPlugin, Name: driver, Endpoint: r.socket, SupportedVersions: []string{"1.0.0"}}, nil
}

func (r *registration) NotifyRegistrationStatus(_ context.Context, answer *registerapi.RegistrationStatus) (*registerapi.RegistrationStatusResponse, error) {
	if !answer.PluginRegistered {
		log.Printf("the kubelet does not take the driver: %s", answer.Error)
	}
	return &registerapi.RegistrationStatusResponse{}, nil
}

// listen opens the Unix socket at path; what another process has left there goes.
func listen(path string) net.Listener {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		log.Fatal(err)
	}
	os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	return listener
}

func main() {
	name := flag.String("node", "", "name of the node")
	api := flag.String("api", "", "folder of the Workload API socket")
	kubelet := flag.String("kubelet", "/var/lib/kubelet", "root folder of the kubelet")
	flag.Parse()
	if *name == "" || *api == "" {
		log.Fatal("-node and -api are needed")
	}

	socket := filepath.Join(*kubelet, "plugins", driver, "csi.sock")
	server := grpc.NewServer()
	served := &node{name: *name, api: *api, pods: filepath.Join(*kubelet, "pods")}
	csi.RegisterIdentityServer(server, served)
	csi.RegisterNodeServer(server, served)
	registrar := grpc.NewServer()
	registerapi.RegisterRegistrationServer(registrar, &registration{socket: socket})

	endpoint := listen(socket)
	go func() { log.Fatal(registrar.Serve(listen(filepath.Join(*kubelet, "plugins_registry", driver+"-reg.sock")))) }()
	log.Fatal(server.Serve(endpoint))
}
