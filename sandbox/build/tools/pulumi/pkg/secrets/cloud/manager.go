// Package cloud replaces the key management of AWS, Azure, Google and Vault: the sandbox has a passphrase.
package cloud

import (
	"encoding/json"
	"errors"

	"github.com/pulumi/pulumi/pkg/v3/secrets"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// Type is that of the real package.
const Type = "cloud"

var errAbsent = errors.New("the sandbox's build knows no secrets provider but a passphrase")

// EditProjectStack fails.
func EditProjectStack(*workspace.ProjectStack, json.RawMessage) error {
	return errAbsent
}

// NewCloudSecretsManagerFromState fails.
func NewCloudSecretsManagerFromState(json.RawMessage) (secrets.Manager, error) {
	return nil, errAbsent
}

// NewCloudSecretsManager fails.
func NewCloudSecretsManager(*workspace.ProjectStack, string, bool) (secrets.Manager, error) {
	return nil, errAbsent
}
