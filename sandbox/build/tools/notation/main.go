// Signs or verifies an image with the libraries of the notation CLI, as the CLI does it: its own
// module cannot be built where the module proxy does not have it.
//
//	notation sign|verify REPOSITORY@DIGEST
//
// Logins are docker's; key, trust store and trust policy are in the folder NOTATION_CONFIG:
// https://notaryproject.dev/docs/user-guides/how-to/directory-structure/
package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/notation-go"
	"github.com/notaryproject/notation-go/dir"
	"github.com/notaryproject/notation-go/registry"
	"github.com/notaryproject/notation-go/signer"
	"github.com/notaryproject/notation-go/verifier"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: notation sign|verify REPOSITORY@DIGEST")
	}
	dir.UserConfigDir = os.Getenv("NOTATION_CONFIG")
	if err := run(context.Background(), os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, command, reference string) error {
	target, err := remote.NewRepository(reference)
	if err != nil {
		return err
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return err
	}
	target.PlainHTTP = true
	target.Client = &auth.Client{Credential: credentials.Credential(store)}
	repository := registry.NewRepository(target)
	if command == "verify" {
		checker, err := verifier.NewFromConfig()
		if err != nil {
			return err
		}
		options := notation.VerifyOptions{ArtifactReference: reference, MaxSignatureAttempts: 100}
		_, _, err = notation.Verify(ctx, checker, repository, options)
		return err
	}
	key := filepath.Join(dir.UserConfigDir, "localkeys", "test")
	signs, err := signer.NewFromFiles(key+".key", key+".crt")
	if err != nil {
		return err
	}
	_, err = notation.Sign(ctx, signs, repository, notation.SignOptions{
		ArtifactReference: reference,
		SignerSignOptions: notation.SignerSignOptions{SignatureMediaType: jws.MediaTypeEnvelope},
	})
	if err != nil && strings.Contains(err.Error(), "failed to delete dangling referrers index") {
		// https://github.com/notaryproject/notation/blob/v1.3.2/cmd/notation/sign.go
		log.Print("warning: ", err)
		return nil
	}
	return err
}
