// Command web is the server behind the Services of the tests. To any request it answers with the name of its node and the
// address that the client has.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		client, _, _ := net.SplitHostPort(request.RemoteAddr)
		fmt.Fprintf(answer, "%s %s", os.Getenv("NODE"), client)
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
