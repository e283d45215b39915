// Command pause is the process that keeps a pod's namespaces open: it waits for the end and reaps orphans until then.
//
// "pause resolve NAME" looks NAME up once instead and fails if it cannot, so that a pod can show that names resolve.
package main

import (
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "resolve" {
		resolve(os.Args[2])
		return
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for received := range signals {
		if received != syscall.SIGCHLD {
			return
		}
		reap()
	}
}

func resolve(name string) {
	addresses, err := net.LookupHost(name)
	if err != nil {
		log.Fatal(err)
	}
	log.Print(addresses)
}

// reap collects every child that has ended; one signal may stand for several.
func reap() {
	for {
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if pid <= 0 || err != nil {
			return
		}
	}
}
