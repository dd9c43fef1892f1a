// Command etcd is etcd itself, built from its Go module: Debian's 3.4 is too old for kube-apiserver to serve watches.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
