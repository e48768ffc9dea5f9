"""The sections of the settings that have no file of their own: keys, types and defaults."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic.alias_generators import to_camel

from settings.commands import Ask
from settings.section import FixableError, Flag, ListOf, Number, Section
from settings.servers import HeaderName, HeaderValue, Hostname, IpAddress, WebhookUrl
from settings.types import (
    Cpu,
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
    """What the scheduler reserves for one registry pod.

    Attributes:
        cpu: Cores; a request only, there is no limit.
        memory: Bytes, in binary units.
    """

    cpu: Cpu = "50m"
    memory: Memory = "128Mi"


CHUNK_BYTES = 10 * 2**20
"""The size of an upload's parts; larger ones need more memory for no gain (docs/performance.md)."""

_BASE_MEMORY_MIB = 128
"""The registry at rest takes 25 to 40 MiB, and 30 MiB more for each of the two largest manifests
that it takes at a time (docs/performance.md); the rest is room for listings."""


class RegistrySettings(Section):
    """The registry's workload.

    Attributes:
        image: CNCF distribution, 3.1.2 or newer.
        replicas: Pods; two or more are spread over nodes.
        parallel_uploads: Layers that may be uploaded to one pod at a time; more wait. It sets the
            registry's memory limit. Each user who may push has a place of its own.
        redirect: Whether clients download layers from the S3 server itself, which they must reach.
        read_only: Refuse pushes and deletes.
        proxy_image: Caddy, 2.11.0 or newer, the auth proxy in the same pod.
        resources: What the scheduler reserves for the registry in each pod.
    """

    image: RegistryImage = "docker.io/library/registry:3.1.2"
    replicas: Annotated[Number, Field(ge=1, le=20)] = 1
    parallel_uploads: Annotated[Number, Field(ge=1, le=1000)] = 16
    redirect: Flag = False
    read_only: Flag = False
    proxy_image: ProxyImage = "docker.io/library/caddy:2.11.9"
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


class UserSettings(Section):
    """What one more user may do.

    Attributes:
        push: The repositories that the user may push to and delete from: ``team-a/app`` is one,
            ``team-a/*`` are all below ``team-a/``, ``*`` are all.
        pull: The repositories that the user may pull from, written likewise. Those of `push` are
            always among them.
    """

    push: ListOf[RepositoryPattern] = []  # noqa: RUF012 - pydantic copies it
    pull: ListOf[RepositoryPattern] = []  # noqa: RUF012

    @field_validator("pull")
    @classmethod
    def _include_push(cls, pull: list[str], info: ValidationInfo) -> list[str]:
        return list(dict.fromkeys([*info.data.get("push", []), *pull]))

    @model_validator(mode="after")
    def _require_a_right(self) -> Self:
        if not self.pull:
            raise FixableError(
                "expected at least one repository in push or pull", {"pull": [Ask.VALUE]}
            )
        return self


class IngressSettings(Section):
    """How requests reach the registry.

    Attributes:
        controller: What the ingress controller is.
        class_name: Its IngressClass.
        controller_namespace: The namespace of its pods, which alone may reach the registry's.
        host_network: Whether its pods are in their nodes' network, where no network policy tells
            them from others: then all may reach the registry's.
        tcp_route: Whether Traefik terminates TLS and passes connections on, which may take any
            time. Otherwise it passes requests on, and cuts those that take more than a minute.
    """

    controller: Literal["traefik", "nginx", "haproxy"] = "traefik"
    class_name: ObjectName = "traefik"
    controller_namespace: Label = "kube-system"
    host_network: Flag = False
    tcp_route: Flag = True

    @model_validator(mode="after")
    def _know_the_controller(self) -> Self:
        unset = {"class_name", "controller_namespace"} - self.model_fields_set
        if self.controller != "traefik" and unset:
            rights = {"class_name": self.controller, "controller_namespace": Ask.VALUE}
            names = sorted(to_camel(name) for name in unset)
            raise FixableError(
                f"expected {' and '.join(names)} of {self.controller}, too: the defaults are those "
                "of k3s' Traefik",
                key=("ingress", "controller"),
                fixes={("ingress", to_camel(name)): rights[name] for name in sorted(unset)},
            )
        return self

    @property
    def by_tcp_route(self) -> bool:
        """Whether connections are passed on instead of requests, where there is TLS."""
        return self.controller == "traefik" and self.tcp_route


class DnsSettings(Section):
    """How the hostname leads to the ingress controller.

    Attributes:
        zone: A domain of the DigitalOcean account, in which the hostname gets its DNS records. None
            if somebody else makes them.
        addresses: The addresses of the ingress controller for clients; empty for those that it
            tells.
    """

    zone: Hostname | None = None
    addresses: ListOf[IpAddress] = []  # noqa: RUF012 - pydantic copies it


class NodesSettings(Section):
    """How the cluster's nodes pull from the registry.

    Attributes:
        mirror_prefix: A name that image references may start with instead of the hostname, such as
            example.com for example.com/app. None for none.
        override_docker_io: Pull images of docker.io from the registry, and only from there.
        ca_file: The file on the nodes with the CA that signed the registry's certificate. None if
            nodes trust it already.
        configure: Let a DaemonSet write registries.yaml on all nodes, and restart k3s there.
    """

    mirror_prefix: Hostname | None = None
    override_docker_io: Flag = False
    ca_file: NodePath | None = None
    configure: Flag = False

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
    """Secrets that let pods pull on nodes that are not configured to.

    Attributes:
        namespaces: Existing namespaces that get one.
        default_service_account: Let all pods of those namespaces use it, by their default service
            account.
    """

    namespaces: ListOf[Label] = []  # noqa: RUF012 - pydantic copies it
    default_service_account: Flag = False


class WebhookSettings(Section):
    """Who is notified of changes.

    Attributes:
        url: Where events are posted to.
        headers: Headers that are sent with them, such as a login.
        actions: What they are notified of.
    """

    url: WebhookUrl
    headers: Annotated[dict[HeaderName, HeaderValue], Field(repr=False)] = {}  # noqa: RUF012 - pydantic copies it
    actions: ListOf[WebhookAction] = ["push", "delete"]  # noqa: RUF012


class ScriptsSettings(Section):
    """The pods that run one of scripts/.

    Attributes:
        image: Has Python 3.9 or newer as ``python3``.
    """

    image: ScriptsImage = "docker.io/library/python:3.13.7-alpine3.22"
