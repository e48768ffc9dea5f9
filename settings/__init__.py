"""Everything that this program reads from its configuration and environment, read and checked once.

The models here and in sections.py are the one place that knows a setting's type, default and
meaning; Pulumi.yaml repeats names and defaults for `pulumi config`, and a test compares the two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.alias_generators import to_snake

from settings.credentials import Access, find_access, missing_access
from settings.problems import SettingsError, problems_of
from settings.schema import (
    IngressSettings,
    NodesSettings,
    PullSecretsSettings,
    RegistrySettings,
    S3Settings,
    ScriptsSettings,
    SpacesSettings,
    TlsSecret,
    TlsSettings,
)
from settings.types import Hostname, Label, Section, User


class Settings(Section):
    """All settings of this program; each a key of the stack's configuration.

    Attributes:
        hostname: The name under which clients reach the registry.
        namespace: The namespace that is created for it.
        admin_user: Who may push and pull.
        pull_user: Who may pull only.
        storage: Where images are kept.
        registry: The workload.
        ingress: How requests reach the registry.
        tls: Who ends TLS, and with which certificate.
        nodes: How the cluster's nodes pull.
        pull_secrets: How pods pull whose nodes are not set up.
        scripts: The pods that run one of scripts/.
    """

    hostname: Hostname
    namespace: Label = "registry"
    admin_user: User = "admin"
    pull_user: User = "pull"
    storage: Annotated[SpacesSettings | S3Settings, Field(discriminator="kind")] = SpacesSettings()
    registry: RegistrySettings = RegistrySettings()
    ingress: IngressSettings = IngressSettings()
    tls: Annotated[TlsSettings, Field(discriminator="mode")] = TlsSecret()
    nodes: NodesSettings = NodesSettings()
    pull_secrets: PullSecretsSettings = PullSecretsSettings()
    scripts: ScriptsSettings = ScriptsSettings()

    @property
    def nodes_namespace(self) -> str:
        """The namespace of what sets up nodes, which may do there what the registry's may not."""
        return f"{self.namespace}-nodes"

    @field_validator("storage", "tls", mode="before")
    @classmethod
    def _choose(cls, value: object, info: ValidationInfo) -> object:
        """Let the default's kind hold where none is given."""
        if not isinstance(value, dict):
            return value
        return (
            {"kind": "spaces", **value}
            if info.field_name == "storage"
            else {"mode": "secret", **value}
        )

    @field_validator("pull_user")
    @classmethod
    def _differs(cls, pull_user: str, info: ValidationInfo) -> str:
        if pull_user == info.data.get("admin_user"):
            raise ValueError("expected another name than adminUser's")
        return pull_user


def load(
    config: Mapping[str, str],
    secret_keys: frozenset[str],
    environment: Mapping[str, str],
    project: str,
) -> tuple[Settings, Access]:
    """Read and check everything.

    Args:
        config: The stack's configuration as the engine hands it over: ``namespace:key`` to text,
            which is JSON for objects.
        secret_keys: Those of its keys whose values must not be shown.
        environment: The process's environment.
        project: The Pulumi project's name, the namespace of this program's own keys.

    Raises:
        SettingsError: With everything that is wrong, and how to mend it.
    """
    prefix = f"{project}:"
    values = {
        key.removeprefix(prefix): _value(key.removeprefix(prefix), text)
        for key, text in config.items()
        # An unset hostname comes as the empty default of Pulumi.yaml.
        if key.startswith(prefix) and (key, text) != (f"{prefix}hostname", "")
    }
    access, problems = find_access(config, environment)
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        hidden = {key.removeprefix(prefix) for key in secret_keys}
        problems += problems_of(error, Settings, hidden)
    storage = values.get("storage")
    if not isinstance(storage, dict) or storage.get("kind", "spaces") == "spaces":
        problems += missing_access(access, environment)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings, access


def _value(key: str, text: str) -> object:
    """Read one value: an object is JSON, a string is itself."""
    described = Settings.model_fields.get(to_snake(key))
    if described is None or described.annotation is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
