// Package v4 replaces the component Chart, as the package yaml replaces others.
package v4

import v2 "github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/provider/yaml/v2"

// NewChartProvider returns a provider that fails.
var NewChartProvider = v2.NewConfigFileProvider
