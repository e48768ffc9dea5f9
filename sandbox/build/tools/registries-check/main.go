// Reads a registries.yaml as k3s does, with its own parser, and prints as JSON what k3s took from it.
//
// The parser passes over keys that it does not know, so what it did not take is what is missing here.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/rancher/wharfie/pkg/registries"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: registries-check FILE")
	}
	if _, err := os.Stat(os.Args[1]); err != nil {
		log.Fatal(err) // to the parser, a missing file is an empty one
	}
	read, err := registries.GetPrivateRegistries(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(read.Registry); err != nil {
		log.Fatal(err)
	}
}
