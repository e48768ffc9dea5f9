// Package plugins replaces the package of Prometheus that links the SDKs of all clouds, most of its build.
package plugins

import (
	_ "github.com/prometheus/prometheus/discovery/dns"
	_ "github.com/prometheus/prometheus/discovery/kubernetes"
)
