// Command kubeadm is Kubernetes' own kubeadm, built from its Go module for the tests.
package main

import (
	"os"

	"k8s.io/kubernetes/cmd/kubeadm/app"
)

func main() {
	if app.Run() != nil {
		os.Exit(1)
	}
}
