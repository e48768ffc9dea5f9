"""What this program reads from its configuration and environment, read and checked once.

The models here and in schema.py are the one place that knows a setting's type, default and meaning;
Pulumi.yaml repeats names and defaults for `pulumi config`, and a test compares the two.

To add a key, add a field to its section in schema.py, with a type from types.py, and describe it in
Pulumi.yaml and in the README's table; a test says what is missing. A new section is a class in
schema.py and a field of `Settings`. A key that holds a secret has the type `SecretKey`, or another
with ``Field(repr=False)``: then it must be set with --secret, and no error shows its value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from settings.commands import Ask, KeyPath, dotted, leaves, secret_command
from settings.credentials import Access, find_access, missing_access
from settings.keys import Keys
from settings.placement import Placement
from settings.problems import SECRET, Problem, SettingsError, problems_of
from settings.schema import (
    DnsSettings,
    IngressSettings,
    MaintenanceSettings,
    NodesSettings,
    PullSecretsSettings,
    RegistrySettings,
    ScriptsSettings,
    UserSettings,
    WebhookSettings,
)
from settings.section import FixableError, Section, drop_empty, kinds
from settings.storage import S3Settings, SpacesSettings
from settings.tls import TlsAcme, TlsLetsEncrypt, TlsNone, TlsSecret, TlsSettings
from settings.types import Hostname, Label, NamedUser, Namespace, User

__all__ = ["Settings", "SettingsError", "load"]


class Settings(Section):
    """All settings of this program; each is a key of the stack's configuration.

    Attributes:
        hostname: The name by which clients reach the registry.
        namespace: The namespace that is created for the registry.
        admin_user: The user who may push and pull everything.
        pull_user: The user who may only pull, and everything.
        users: More users by name, and what they may push and pull.
        storage: Where images are kept.
        registry: The workload.
        ingress: How requests reach the registry.
        tls: Who terminates TLS, and with which certificate.
        dns: How the hostname leads to the ingress controller.
        nodes: How the cluster's nodes pull.
        pull_secrets: How pods pull on nodes that are not configured to.
        webhooks: Who is told of pushes and deletes, by name.
        maintenance: The CronJob that looks after the storage.
        scripts: The pods that run one of scripts/.
    """

    hostname: Hostname
    namespace: Namespace = "registry"
    admin_user: User = "admin"
    pull_user: User = "pull"
    users: dict[NamedUser, UserSettings] = {}  # noqa: RUF012 - pydantic copies it
    storage: Annotated[SpacesSettings | S3Settings, Field(discriminator="kind")] = SpacesSettings()
    registry: RegistrySettings = RegistrySettings()
    ingress: IngressSettings = IngressSettings()
    tls: Annotated[TlsSettings, Field(discriminator="mode")] = TlsSecret()
    dns: DnsSettings = DnsSettings()
    nodes: NodesSettings = NodesSettings()
    pull_secrets: PullSecretsSettings = PullSecretsSettings()
    webhooks: dict[Label, WebhookSettings] = {}  # noqa: RUF012 - pydantic copies it
    maintenance: MaintenanceSettings = MaintenanceSettings()
    scripts: ScriptsSettings = ScriptsSettings()

    @property
    def nodes_namespace(self) -> str:
        """The namespace of what configures nodes, which may do what the registry's may not."""
        return f"{self.namespace}-nodes"

    @field_validator("storage", "tls", mode="before")
    @classmethod
    def _default_kind(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[str(info.field_name)]
        section = drop_empty(value)
        first = {str(field.discriminator): next(iter(kinds(field)))}
        return first | section if isinstance(section, dict) else section

    @field_validator("users", "webhooks", mode="before")
    @classmethod
    def _default_nobody(cls, named: object) -> object:
        return {} if named in (None, "") else named

    @field_validator("pull_user")
    @classmethod
    def _tell_from_admin(cls, pull_user: str, info: ValidationInfo) -> str:
        admin = info.data.get("admin_user", "")
        if pull_user.lower() == admin.lower():
            raise FixableError("expected another name than adminUser's", f"{admin[:59]}-pull")
        return pull_user

    @field_validator("users")
    @classmethod
    def _tell_from_others(
        cls, users: dict[str, UserSettings], info: ValidationInfo
    ) -> dict[str, UserSettings]:
        for field, key in (("admin_user", "adminUser"), ("pull_user", "pullUser")):
            name = info.data.get(field, "").lower()
            if name in users:
                raise FixableError(
                    f"expected another name than {key}'s",
                    key=("users", name),
                    fixes={(key,): Ask.VALUE},
                )
        prefix = f"{info.data.get('hostname')}/"
        for name, user in users.items():
            if any(pattern.startswith(prefix) for pattern in user.pull):
                own = [pattern for pattern in user.pull if pattern not in user.push]
                raise FixableError(
                    "expected repositories without the hostname",
                    {
                        "push": [pattern.removeprefix(prefix) for pattern in user.push],
                        "pull": [pattern.removeprefix(prefix) for pattern in own],
                    },
                    key=("users", name),
                )
        return users

    @field_validator("registry")
    @classmethod
    def _redirect_to_what_clients_reach(
        cls, registry: RegistrySettings, info: ValidationInfo
    ) -> RegistrySettings:
        endpoint = getattr(info.data.get("storage"), "endpoint", "")
        if registry.redirect and re.search(r"//[^.]+$|\.svc([.:]|$)", endpoint):
            raise FixableError(
                "expected false: nodes and other clients do not know the cluster's own hostnames, "
                "such as that of storage.endpoint",
                False,
                key=("registry", "redirect"),
            )
        return registry

    @field_validator("ingress")
    @classmethod
    def _keep_apart(cls, ingress: IngressSettings, info: ValidationInfo) -> IngressSettings:
        if ingress.controller_namespace == info.data.get("namespace"):
            raise FixableError(
                "expected another namespace than that of the ingress controller, since this "
                "program creates it",
                key=("namespace",),
            )
        return ingress

    @field_validator("tls")
    @classmethod
    def _suit_the_controller(cls, tls: TlsSettings, info: ValidationInfo) -> TlsSettings:
        ingress = info.data.get("ingress")
        controller = ingress.controller if ingress else "traefik"
        if controller != "traefik" and isinstance(tls, TlsAcme | TlsLetsEncrypt):
            raise FixableError(
                f"expected another mode with ingress.controller {controller}: this one needs "
                "Traefik",
                "certManager",
                key=("tls", "mode"),
            )
        if controller == "haproxy" and not isinstance(tls, TlsNone) and tls.client_ca:
            raise FixableError(
                "expected none with ingress.controller haproxy: it would not ask for certificates",
                None,
                key=("tls", "clientCa"),
            )
        return tls

    @field_validator("dns")
    @classmethod
    def _hold_the_hostname(cls, dns: DnsSettings, info: ValidationInfo) -> DnsSettings:
        hostname = info.data.get("hostname", "")
        if dns.zone and hostname and not f".{hostname}".endswith(f".{dns.zone}"):
            raise FixableError(
                f"expected a domain that {hostname} is in",
                hostname.partition(".")[2],
                key=("dns", "zone"),
            )
        return dns

    @field_validator("nodes")
    @classmethod
    def _mirror_another_name(cls, nodes: NodesSettings, info: ValidationInfo) -> NodesSettings:
        if nodes.mirror_prefix and nodes.mirror_prefix == info.data.get("hostname"):
            raise FixableError(
                "expected another name than hostname: image references may start with that anyway",
                None,
                key=("nodes", "mirrorPrefix"),
            )
        return nodes

    @field_validator("pull_secrets")
    @classmethod
    def _name_other_namespaces(
        cls, pull_secrets: PullSecretsSettings, info: ValidationInfo
    ) -> PullSecretsSettings:
        namespace = info.data.get("namespace")
        created = (namespace, f"{namespace}-nodes")
        others = [name for name in dict.fromkeys(pull_secrets.namespaces) if name not in created]
        if others != pull_secrets.namespaces:
            raise FixableError(
                "expected each namespace once, and none that this program creates",
                others or None,
                key=("pullSecrets", "namespaces"),
            )
        return pull_secrets


_KEYS = Keys(Settings)


def load(
    config: Mapping[str, str],
    secret_keys: frozenset[str],
    environment: Mapping[str, str],
    project: str,
) -> tuple[Settings, Access]:
    """Read and check everything.

    Args:
        config: The stack's configuration as the engine passes it: ``namespace:key`` to text, which
            is JSON for objects.
        secret_keys: Those of its keys that hold secrets, also somewhere inside.
        environment: The process's environment.
        project: The Pulumi project's name, the namespace of this program's own keys.

    Raises:
        SettingsError: With everything that is wrong, and how to fix it.
    """
    prefix = f"{project}:"
    texts = {
        key.removeprefix(prefix): x for key, x in sorted(config.items()) if key.startswith(prefix)
    }
    # Not "missing", but refused with what is expected of a hostname.
    values = {"hostname": ""} | {key: _value(text) for key, text in texts.items()}
    encrypted = {key.removeprefix(prefix) for key in secret_keys}
    problems = Placement(texts, values, encrypted, _KEYS).problems()
    problems += _plaintext_secrets(values, encrypted)
    problems += _plaintext_credentials(config, secret_keys)
    access, refused = find_access(config, environment)
    problems += refused
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems += problems_of(error, values, _KEYS, _KEYS.hidden(values, encrypted))
    storage = values.get("storage")
    in_a_space = not isinstance(storage, dict) or storage.get("kind", "spaces") == "spaces"
    if in_a_space or (settings and settings.dns.zone):
        problems += missing_access(access, environment)
    if settings is None or problems:
        raise SettingsError(problems)
    return settings, access


def _value(text: str) -> object:
    """Return what a configured text stands for."""
    try:
        return json.loads(text) if text.startswith(("{", "[")) else text
    except ValueError:
        return text


def _plaintext_secrets(values: Mapping[str, object], encrypted: set[str]) -> list[Problem]:
    return [
        _plaintext(path)
        for key, value in values.items()
        for path, _ in leaves((key,), value)
        if key not in encrypted and _KEYS.is_secret(path)
    ]


def _plaintext_credentials(config: Mapping[str, str], secret_keys: frozenset[str]) -> list[Problem]:
    """Return the providers' own keys that are in plaintext; a kubeconfig may be a path."""
    secrets = {"digitalocean:token", "digitalocean:spacesSecretKey"}
    if re.search(r"[\n{]", config.get("kubernetes:kubeconfig", "")):
        secrets.add("kubernetes:kubeconfig")
    return [_plaintext((key,)) for key in config if key in secrets - secret_keys]


def _plaintext(path: KeyPath) -> Problem:
    return Problem(
        dotted(path),
        SECRET,
        "expected it to be set with --secret: it is in plaintext in the stack's configuration file",
        secret_command(path, path),
    )
