"""All settings, and what must hold between their sections."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from settings.backup import BackupSettings
from settings.cache import DOCKER_IO, CacheSettings
from settings.commands import Ask, KeyPath
from settings.immutable import ImmutableRule
from settings.maintenance import MaintenanceSettings, RetentionRule, RetentionSettings
from settings.monitoring import MonitoringSettings
from settings.names import SMOKE_TEST_USER, parent_domain
from settings.page import PageSettings
from settings.scan import ScanSettings
from settings.schema import (
    DnsSettings,
    IngressSettings,
    NodesSettings,
    PullSecretsSettings,
    RegistrySettings,
    ScriptsSettings,
    UserSettings,
    WebhookSettings,
)
from settings.section import NAMED, FixableError, Positive, Section, drop_empty, kinds
from settings.servers import Hostname
from settings.storage import S3Settings, SpacesSettings
from settings.tls import TlsNone, TlsSecret, TlsSettings
from settings.types import CacheName, Label, NamedUser, Namespace, User


class Settings(Section):
    """All settings of this program; each is a key of the stack's configuration."""

    hostname: Hostname
    """The name by which clients reach the registry, such as `registry.example.com`."""
    namespace: Namespace = "registry"
    """The Kubernetes namespace that is created for the registry."""
    admin_user: User = "admin"
    """The user who may push and pull everything."""
    pull_user: User = "pull"
    """The user who may only pull, and everything, such as the cluster's nodes."""
    rotation: Positive = 1
    """The generation of all passwords and keys. A greater one makes [new
    ones](docs/operations.md#change-every-secret); passwords of the generation before stay valid."""
    users: Annotated[dict[NamedUser, UserSettings], NAMED] = {}  # noqa: RUF012 - pydantic copies it
    """More users by name, and [what they may do](docs/ingress.md#who-may-do-what)."""
    storage: Annotated[SpacesSettings | S3Settings, Field(discriminator="kind")] = SpacesSettings()
    """Where images are kept."""
    registry: RegistrySettings = RegistrySettings()
    ingress: IngressSettings = IngressSettings()
    tls: Annotated[TlsSettings, Field(discriminator="mode")] = TlsSecret()
    """Who terminates TLS, and with [which certificate](docs/ingress.md#who-terminates-tls)."""
    dns: DnsSettings = DnsSettings()
    nodes: NodesSettings = NodesSettings()
    pull_secrets: PullSecretsSettings = PullSecretsSettings()
    webhooks: Annotated[dict[Label, WebhookSettings], NAMED] = {}  # noqa: RUF012 - pydantic copies it
    """Who is notified of [changes](docs/operations.md#webhooks), by name."""
    immutable: Annotated[dict[Label, ImmutableRule], NAMED] = {}  # noqa: RUF012 - pydantic copies it
    """Tags that [stay what they are](docs/ingress.md#tags-that-stay), as rules by name."""
    maintenance: MaintenanceSettings = MaintenanceSettings()
    retention: RetentionSettings = RetentionSettings()
    cache: Annotated[dict[CacheName, CacheSettings], NAMED] = {}  # noqa: RUF012 - pydantic copies it
    """[Caches of other registries](docs/cache.md), by name: the nodes pull through them."""
    backup: BackupSettings | None = None
    """A copy of all images in another bucket, from which [a registry can be
    restored](docs/backup.md#restore); off until it is set."""
    page: PageSettings = PageSettings()
    scan: ScanSettings = ScanSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    scripts: ScriptsSettings = ScriptsSettings()

    @property
    def nodes_namespace(self) -> str:
        """The namespace of what configures nodes, which may do what the registry's may not."""
        return _nodes_namespace(self.namespace)

    @field_validator("storage", "tls", mode="before")
    @classmethod
    def _default_kind(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[str(info.field_name)]
        section = drop_empty(value)
        first = {str(field.discriminator): next(iter(kinds(field)))}
        return first | section if isinstance(section, dict) else section

    @field_validator("backup", mode="before")
    @classmethod
    def _off_if_empty(cls, backup: object) -> object:
        # The project's default is an empty section.
        return drop_empty(backup) or None

    @field_validator("admin_user", "pull_user")
    @classmethod
    def _tell_from_smoke_test(cls, user: str) -> str:
        if user.lower() == SMOKE_TEST_USER:
            raise FixableError("expected another name than that of the smoke test's own user")
        return user

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
        for name, user in users.items():
            right = {
                "push": _without_hostname(user.push, info),
                "pull": _without_hostname([x for x in user.pull if x not in user.push], info),
            }
            if {*right["push"], *right["pull"]} != set(user.pull):
                raise FixableError(_NO_HOSTNAME, {**right, **user.end}, key=("users", name))
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

    @field_validator("registry")
    @classmethod
    def _a_place_for_each_who_pushes(
        cls, registry: RegistrySettings, info: ValidationInfo
    ) -> RegistrySettings:
        # The admin and the smoke test's user push, too.
        pushers = 2 + sum(bool(user.push) for user in info.data.get("users", {}).values())
        if registry.parallel_uploads <= pushers:
            raise FixableError(
                f"expected more than {pushers}: {pushers} users may push, and each has a place of "
                "its own",
                pushers + 1,
                key=("registry", "parallelUploads"),
            )
        return registry

    @field_validator("ingress")
    @classmethod
    def _keep_the_controller_apart(
        cls, ingress: IngressSettings, info: ValidationInfo
    ) -> IngressSettings:
        _keep_apart(ingress.controller_namespace, "the ingress controller", info)
        return ingress

    @field_validator("monitoring")
    @classmethod
    def _keep_prometheus_apart(
        cls, monitoring: MonitoringSettings, info: ValidationInfo
    ) -> MonitoringSettings:
        if monitoring.enabled:
            _keep_apart(monitoring.namespace, "Prometheus", info)
        return monitoring

    @field_validator("tls")
    @classmethod
    def _suit_the_controller(cls, tls: TlsSettings, info: ValidationInfo) -> TlsSettings:
        ingress = info.data.get("ingress")
        if ingress and ingress.controller == "gateway" and not isinstance(tls, TlsNone):
            raise FixableError(
                "expected none with ingress.controller gateway: the Gateway's listener has the "
                "certificate",
                "none",
                key=("tls", "mode"),
            )
        return tls

    @field_validator("dns")
    @classmethod
    def _hold_the_hostname(cls, dns: DnsSettings, info: ValidationInfo) -> DnsSettings:
        hostname = info.data.get("hostname", "")
        if dns.zone and hostname and not f".{hostname}".endswith(f".{dns.zone}"):
            raise FixableError(
                f"expected a domain that {hostname} is in",
                parent_domain(hostname),
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
        others = [name for name in pull_secrets.namespaces if name not in _created(info)]
        if others != pull_secrets.namespaces:
            raise FixableError(
                "expected no namespace that this program creates",
                others or None,
                key=("pullSecrets", "namespaces"),
            )
        return pull_secrets

    @field_validator("immutable")
    @classmethod
    def _name_no_hostname(
        cls, immutable: dict[str, ImmutableRule], info: ValidationInfo
    ) -> dict[str, ImmutableRule]:
        _refuse_hostname(immutable, ("immutable",), info)
        return immutable

    @field_validator("retention")
    @classmethod
    def _name_no_hostname_either(
        cls, retention: RetentionSettings, info: ValidationInfo
    ) -> RetentionSettings:
        _refuse_hostname(retention.rules, ("retention", "rules"), info)
        return retention

    @field_validator("retention")
    @classmethod
    def _need_the_maintenance(
        cls, retention: RetentionSettings, info: ValidationInfo
    ) -> RetentionSettings:
        maintenance = info.data.get("maintenance")
        for field in ("enabled", "collect"):
            if not retention.dry_run and not getattr(maintenance, field, True):
                raise FixableError(
                    "expected true: the maintenance deletes what retention lets go",
                    True,
                    key=("maintenance", field),
                )
        return retention

    @field_validator("cache")
    @classmethod
    def _suit_the_rest(
        cls, caches: dict[str, CacheSettings], info: ValidationInfo
    ) -> dict[str, CacheSettings]:
        nodes, hosts = info.data.get("nodes", NodesSettings()), {info.data.get("hostname"): ""}
        for name, cache in caches.items():
            key = ("cache", name)
            if cache.host in hosts:
                other = f"cache.{hosts[cache.host]}" if hosts[cache.host] else "hostname"
                raise FixableError(f"expected another upstream than {other}'s", None, key=key)
            hosts[cache.host] = name
            if (cache.username is None) != (cache.password is None):
                unset = "password" if cache.username else "username"
                raise FixableError("expected username and password, or neither", key=(*key, unset))
            if cache.host == nodes.mirror_prefix:
                raise FixableError(
                    f"expected another name than cache.{name}'s upstream",
                    None,
                    key=("nodes", "mirrorPrefix"),
                )
            if cache.host == DOCKER_IO and nodes.override_docker_io:
                raise FixableError(
                    f"expected false with cache.{name} of docker.io: true means that nodes get of "
                    "docker.io only what was pushed",
                    False,
                    key=("nodes", "overrideDockerIo"),
                )
        if caches and not getattr(info.data.get("maintenance"), "enabled", True):
            raise FixableError(
                "expected true: the maintenance deletes what caches may not keep",
                True,
                key=("maintenance", "enabled"),
            )
        return caches

    @field_validator("backup")
    @classmethod
    def _be_somewhere_else(
        cls, backup: BackupSettings | None, info: ValidationInfo
    ) -> BackupSettings | None:
        storage = info.data.get("storage")
        if (
            backup
            and isinstance(storage, S3Settings)
            and (backup.endpoint, backup.bucket) == (storage.endpoint, storage.bucket)
        ):
            raise FixableError(
                "expected another bucket than storage.bucket: what is lost with that one would be "
                "lost with its copy",
                key=("backup", "bucket"),
            )
        return backup


def _nodes_namespace(namespace: str) -> str:
    return f"{namespace}-nodes"


_NO_HOSTNAME = "expected repositories without the hostname"


def _without_hostname(patterns: Sequence[str], info: ValidationInfo) -> list[str]:
    prefix = f"{info.data.get('hostname')}/"
    return list(dict.fromkeys(pattern.removeprefix(prefix) for pattern in patterns))


def _refuse_hostname(
    rules: Mapping[str, ImmutableRule] | Mapping[str, RetentionRule],
    section: KeyPath,
    info: ValidationInfo,
) -> None:
    for name, rule in rules.items():
        right = _without_hostname(rule.repositories, info)
        if right != rule.repositories:
            raise FixableError(_NO_HOSTNAME, right, key=(*section, name, "repositories"))


def _created(info: ValidationInfo) -> tuple[str, str]:
    """Return the namespaces that this program creates."""
    namespace = str(info.data.get("namespace"))
    return namespace, _nodes_namespace(namespace)


def _keep_apart(namespace: str, whose: str, info: ValidationInfo) -> None:
    if namespace in _created(info):
        raise FixableError(
            f"expected another namespace than that of {whose}, since this program creates it",
            key=("namespace",),
        )
