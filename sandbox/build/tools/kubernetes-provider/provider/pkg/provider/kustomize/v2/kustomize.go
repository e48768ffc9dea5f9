// Package v2 replaces the component Directory, as the package yaml replaces others.
package v2

import "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider/yaml/v2"

// NewDirectoryProvider returns a provider that fails.
var NewDirectoryProvider = v2.NewConfigFileProvider
