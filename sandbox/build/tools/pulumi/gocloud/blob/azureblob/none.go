// Package azureblob registers no driver, and has what Pulumi's source names of it.
package azureblob

import (
	"context"
	"errors"

	"gocloud.dev/blob"
	"net/url"
)

// Scheme is that of the real package.
const Scheme = "azblob"

type options struct{}

// URLOpener fails.
type URLOpener struct {
	MakeClient        func()
	ServiceURLOptions options
}

// NewDefaultClient does nothing.
func NewDefaultClient() {}

// NewDefaultServiceURLOptions returns nothing of use.
func NewDefaultServiceURLOptions() *options { return &options{} }

// OpenBucketURL fails.
func (*URLOpener) OpenBucketURL(context.Context, *url.URL) (*blob.Bucket, error) {
	return nil, errors.New("the sandbox's build keeps its state in folders and on S3 servers only")
}
