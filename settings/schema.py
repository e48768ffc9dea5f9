"""The sections of the settings that have no file of their own: keys, types and defaults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel

from settings.commands import Ask
from settings.section import FixableError, Flag, ListOf, Number, Section
from settings.servers import HeaderName, HeaderValue, Hostname, IpAddress, WebhookUrl
from settings.types import (
    Cpu,
    Day,
    GatewayListener,
    Label,
    Memory,
    NodePath,
    ObjectName,
    ProxyImage,
    RegistryImage,
    RepositoryPattern,
    ScriptsImage,
    WebhookAction,
)


class Resources(Section):
    """What the scheduler reserves for one registry pod."""

    cpu: Cpu = "50m"
    """What the scheduler reserves for the registry in each pod: cores, such as `1`, or thousandths
    of one, such as `50m`. There is no limit; its process for manifests and the auth proxy have the
    same each."""
    memory: Memory = "128Mi"
    """The memory that is reserved for the registry in each pod, in bytes with a binary unit; the
    two others have 32Mi each."""


CHUNK_BYTES = 10 * 2**20
"""The size of an upload's parts; larger ones need more memory for no gain (docs/performance.md)."""

_BASE_MEMORY_MIB = 128
"""The registry at rest takes 25 to 40 MiB, and 30 MiB more for each of the two largest manifests
that it takes at a time (docs/performance.md); the rest is room for listings."""


class RegistrySettings(Section):
    """The registry's workload."""

    image: RegistryImage = "docker.io/library/registry:3.1.2"
    """CNCF distribution, 3.1.2 or newer."""
    replicas: Annotated[Number, Field(ge=1, le=20)] = 1
    """Pods; two or more are spread over nodes."""
    parallel_uploads: Annotated[Number, Field(ge=1, le=1000)] = 16
    """Layers that may be uploaded to one pod at a time; more wait. It sets the registry's memory
    limit, and is more than [the users who may push](docs/ingress.md#who-may-do-what), each of whom
    has a place."""
    redirect: Flag = False
    """Let clients [download layers from the storage
    itself](docs/ingress.md#downloads-past-the-registry), which they must reach."""
    read_only: Flag = False
    """Refuse pushes and deletes, such as [while images move](docs/storage.md#move-the-images)."""
    proxy_image: ProxyImage = "docker.io/library/caddy:2.11.9"
    """Caddy, 2.11.0 or newer, the auth proxy in the same pod."""
    resources: Resources = Resources()

    @property
    def memory_limit_mib(self) -> int:
        """The memory limit of a registry pod, in MiB."""
        return _memory_limit_mib(self.parallel_uploads)

    @field_validator("resources")
    @classmethod
    def _request_within_limit(cls, resources: Resources, info: ValidationInfo) -> Resources:
        if uploads := info.data.get("parallel_uploads"):
            limit = _memory_limit_mib(uploads)
            number, unit = int(resources.memory[:-2]), "KMGT".index(resources.memory[-2])
            if number * 1024**unit > limit * 1024:
                raise FixableError(
                    f"expected at most {limit}Mi, the memory limit for {uploads} parallelUploads",
                    f"{limit}Mi",
                    key=("registry", "resources", "memory"),
                )
        return resources


def _memory_limit_mib(parallel_uploads: int) -> int:
    # An upload's part is buffered twice, and a quarter is added for garbage not yet collected:
    # https://github.com/distribution/distribution/pull/4919
    return _BASE_MEMORY_MIB + parallel_uploads * 2 * CHUNK_BYTES * 5 // 4 // 2**20


ENDS_SOON_SECONDS = 14 * 24 * 60 * 60
"""How long before its end a login is told of: time to tell whoever uses it, holidays included."""


class UserSettings(Section):
    """What one more user may do."""

    push: ListOf[RepositoryPattern] = []  # noqa: RUF012 - pydantic copies it
    """The repositories that the user may push to, delete from and pull: `team-a/app`, all below
    `team-a/*`, or `*` for all."""
    pull: ListOf[RepositoryPattern] = []  # noqa: RUF012
    """The repositories that the user may pull from, written likewise. Each user needs one in `push`
    or `pull`."""
    until: Day | None = None
    """The last day, in UTC, on which the user [may log in](docs/ingress.md#a-login-that-ends), such
    as `2027-03-31`."""

    @property
    def end(self) -> dict[str, str]:
        """The key :attr:`until`, for a command that writes the user anew."""
        return {"until": self.until} if self.until else {}

    @property
    def ends(self) -> int | None:
        """When the user may no longer log in, in seconds since 1970; None for never."""
        if self.until is None:
            return None
        last = datetime.fromisoformat(self.until).replace(tzinfo=UTC)
        return int((last + timedelta(days=1)).timestamp())

    @field_validator("pull")
    @classmethod
    def _include_push(cls, pull: list[str], info: ValidationInfo) -> list[str]:
        return list(dict.fromkeys([*info.data.get("push", []), *pull]))

    @model_validator(mode="after")
    def _require_a_right(self) -> Self:
        if not self.pull:
            raise FixableError(
                "expected at least one repository in push or pull",
                {"pull": [Ask.VALUE], **self.end},
            )
        return self


class IngressSettings(Section):
    """How requests reach the registry."""

    controller: Literal["traefik", "gateway"] = "traefik"
    """The ingress controller. `gateway` is any that implements the [Gateway
    API](docs/ingress.md#gateway-api); the sandbox runs Traefik's only."""
    class_name: ObjectName = "traefik"
    """Traefik's IngressClass."""
    gateway: GatewayListener | None = None
    """With `gateway`: namespace/name/listener of a Gateway of yours, such as
    `gateways/public/https`."""
    controller_namespace: Label = "kube-system"
    """The namespace of the controller's pods; only pods of that namespace reach the registry's."""
    host_network: Flag = False
    """Its pods are in their nodes' network, where no network policy tells them from others: then
    all pods reach the registry's."""
    tcp_route: Flag = True
    """Traefik terminates TLS and passes connections on, which may take any time. `false` lets it
    pass requests on, if [HTTP middlewares](docs/ingress.md#layers-of-any-size) are needed on port
    443; it cuts those that take more than a minute."""

    @model_validator(mode="after")
    def _know_the_controller(self) -> Self:
        unset = sorted({"gateway", "controller_namespace"} - self.model_fields_set)
        if self.controller == "gateway" and unset:
            names = [to_camel(name) for name in unset]
            raise FixableError(
                f"expected {' and '.join(names)}, too: there are no defaults for Gateways",
                key=("ingress", "controller"),
                fixes={("ingress", name): Ask.VALUE for name in names},
            )
        return self

    @property
    def by_tcp_route(self) -> bool:
        """Whether connections are passed on instead of requests, where there is TLS."""
        return self.controller == "traefik" and self.tcp_route


class DnsSettings(Section):
    """How the hostname leads to the ingress controller."""

    zone: Hostname | None = None
    """An existing domain of the DigitalOcean account, which gets the [DNS
    records](docs/ingress.md#dns) of the hostname."""
    addresses: ListOf[IpAddress] = []  # noqa: RUF012 - pydantic copies it
    """The ingress controller's addresses for clients, if not those that it reports."""


class NodesSettings(Section):
    """How the cluster's nodes pull from the registry."""

    mirror_prefix: Hostname | None = None
    """A name that image references may start with instead of the hostname, such as `example.com`
    for images called `example.com/app`."""
    override_docker_io: Flag = False
    """Pull images of docker.io from the registry, and only from there."""
    ca_file: NodePath | None = None
    """The file on the nodes with the CA that signed the registry's certificate, if they do not
    trust it already."""
    configure: Flag = False
    """Let a DaemonSet write `registries.yaml` on all nodes, and restart k3s there."""
    share: Flag = False
    """Let k3s' [embedded mirror](docs/nodes.md#nodes-that-share) pull the registry's images from
    other nodes, where they need no login."""

    @field_validator("mirror_prefix")
    @classmethod
    def _leave_docker_io(cls, prefix: str | None) -> str | None:
        if prefix in ("docker.io", "index.docker.io", "registry-1.docker.io"):
            raise FixableError(
                "expected nodes.overrideDockerIo instead, to pull images of docker.io from the "
                "registry and only from there",
                fixes={("nodes", "mirrorPrefix"): None, ("nodes", "overrideDockerIo"): True},
            )
        return prefix


class PullSecretsSettings(Section):
    """Secrets that let pods pull on nodes that are not configured to."""

    namespaces: ListOf[Label] = []  # noqa: RUF012 - pydantic copies it
    """Existing namespaces that get a pull Secret."""
    default_service_account: Flag = False
    """Let all pods there use it, by their default service account."""


class WebhookSettings(Section):
    """Who is notified of changes."""

    url: WebhookUrl
    """Where events are posted to."""
    headers: Annotated[dict[HeaderName, HeaderValue], Field(repr=False)] = {}  # noqa: RUF012 - pydantic copies it
    """What is sent with each event, such as `Authorization`."""
    actions: ListOf[WebhookAction] = ["push", "delete"]  # noqa: RUF012
    """Which events."""


class ScriptsSettings(Section):
    """The Jobs that check the storage, test the registry and look after it."""

    image: ScriptsImage = "docker.io/library/python:3.14.7-alpine"
    """Has Python 3.9 or newer as `python3`."""
