// The pod that answers an HTTP-01 challenge, with cert-manager's own handler. Its own main is a
// module that the module proxy does not have.
package main

import (
	"flag"
	"log"

	"github.com/cert-manager/cert-manager/pkg/issuer/acme/http/solver"
	"github.com/go-logr/logr"
)

func main() {
	var answer solver.HTTP01Solver
	flag.IntVar(&answer.ListenPort, "listen-port", 8089, "")
	flag.StringVar(&answer.Domain, "domain", "", "")
	flag.StringVar(&answer.Token, "token", "", "")
	flag.StringVar(&answer.Key, "key", "", "")
	flag.Parse()
	log.Fatal(answer.Listen(logr.Discard()))
}
