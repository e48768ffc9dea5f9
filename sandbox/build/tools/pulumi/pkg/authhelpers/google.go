// Package authhelpers replaces logins at Google.
package authhelpers

import (
	"context"
	"errors"

	"gocloud.dev/blob"
)

// GoogleCredentialsMux fails.
func GoogleCredentialsMux(context.Context) (*blob.URLMux, error) {
	return nil, errors.New("the sandbox's build keeps its state in folders and on S3 servers only")
}
