// Command etcd is etcd itself: its own main package lives in a module that pulls in far more than the server needs.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
