// Package v2 replaces the provider's components, which link the whole Go SDK: half a million lines.
// The program has resources only.
package v2

import (
	"errors"

	"github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
)

// NewConfigFileProvider returns a provider that fails.
func NewConfigFileProvider(*resource.ResourceProviderOptions) resource.ResourceProvider {
	return &resource.ResourceProviderFuncs{ConstructF: func(
		*pulumi.Context, string, string, provider.ConstructInputs, pulumi.ResourceOption,
	) (*provider.ConstructResult, error) {
		return nil, errors.New("this build has no components")
	}}
}

// NewConfigGroupProvider does the same.
var NewConfigGroupProvider = NewConfigFileProvider
