// Package ecs replaces Traefik's provider for Amazon ECS, which links the SDK of EC2: the sandbox has no AWS.
package ecs

import (
	"errors"

	"github.com/traefik/traefik/v3/pkg/config/dynamic"
	"github.com/traefik/traefik/v3/pkg/safe"
)

// Provider is where Traefik's configuration refers to.
type Provider struct{}

// Init returns an error, so that a configuration that asks for ECS is not ignored.
func (*Provider) Init() error {
	return errors.New("this build has no provider for Amazon ECS")
}

// Provide is never called.
func (*Provider) Provide(chan<- dynamic.Message, *safe.Pool) error {
	return nil
}
