"""The sections of the settings: which keys there are, of which type, with which default."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from settings.types import (
    Bucket,
    Certificate,
    Cpu,
    Endpoint,
    FixableError,
    Folder,
    Hostname,
    Image,
    Label,
    Memory,
    NamePrefix,
    NodePath,
    RegistryImage,
    RepositoryPattern,
    S3Region,
    Section,
    SpacesRegion,
    Text,
)


class SpacesSettings(Section):
    """A Space that this program creates.

    Attributes:
        kind: Says that it is this kind of store.
        region: The datacenter region of the Space; best that of the cluster.
        name_prefix: What the Space's name starts with. A random suffix follows it, since a deleted
            Space's name stays blocked: https://docs.digitalocean.com/products/spaces/details/limits/
        on_destroy: What `pulumi destroy` does to the Space: ``protect`` refuses to destroy it,
            ``retain`` leaves the Space and its images in the account, ``delete`` deletes both.
    """

    kind: Literal["spaces"] = "spaces"
    region: SpacesRegion = "nyc3"
    name_prefix: NamePrefix = "registry"
    on_destroy: Literal["protect", "retain", "delete"] = "protect"


class S3Settings(Section):
    """A bucket that exists already, on any S3 server: AWS, MinIO, another Space.

    Attributes:
        kind: Says that it is this kind of store.
        bucket: The bucket's name.
        endpoint: The server's URL.
        region: The region that requests are signed for.
        access_key: The key's public half.
        secret_key: Its secret.
        path_style: Whether the bucket is named in the path instead of the host name.
        root_directory: The folder of the bucket to keep images in; empty for its top.
    """

    kind: Literal["s3"] = "s3"
    bucket: Bucket
    endpoint: Endpoint
    region: S3Region = "us-east-1"
    access_key: Text
    secret_key: Annotated[Text, Field(repr=False)]
    path_style: bool = True
    root_directory: Folder = ""

    @field_validator("endpoint")
    @classmethod
    def _without_bucket(cls, endpoint: str, info: ValidationInfo) -> str:
        scheme, _, host = endpoint.partition("://")
        bucket = info.data.get("bucket")
        if bucket and host.startswith(f"{bucket}."):
            raise FixableError(
                "expected the server's own host name, without the bucket in it",
                f"{scheme}://{host.removeprefix(f'{bucket}.')}",
            )
        if scheme == "http" and host.endswith((".amazonaws.com", ".digitaloceanspaces.com")):
            raise FixableError(
                "expected https: images would cross the internet in clear", f"https://{host}"
            )
        return endpoint


class Resources(Section):
    """What the scheduler reserves for one registry pod.

    Attributes:
        cpu: Cores; a request only, there is no limit.
        memory: Binary units of bytes.
    """

    cpu: Cpu = "50m"
    memory: Memory = "128Mi"


class RegistrySettings(Section):
    """The registry's workload.

    Attributes:
        image: CNCF distribution, 3.1.2 or newer.
        replicas: Pods; two or more are spread over nodes.
        parallel_uploads: Layers that may be uploaded to one pod at a time; more wait. It sets the
            registry's memory limit.
        redirect: Let clients download layers from the S3 server itself, which they must reach.
        proxy_image: Caddy, the auth proxy in the same pod.
        resources: What the scheduler reserves for the registry in each pod.
    """

    image: RegistryImage = "docker.io/library/registry:3.1.2"
    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    parallel_uploads: Annotated[int, Field(ge=1, le=1000)] = 16
    redirect: bool = False
    proxy_image: Image = "docker.io/library/caddy:2.11.9"
    resources: Resources = Resources()


class UserSettings(Section):
    """What one more user may do.

    Attributes:
        push: The repositories that the user may push to and delete from: ``team-a/app`` is one,
            ``team-a/*`` are all below ``team-a/``, ``*`` are all.
        pull: The repositories that the user may pull from, written likewise. Those of `push` are
            always among them.
    """

    push: list[RepositoryPattern] = []  # noqa: RUF012 - pydantic copies it
    pull: list[RepositoryPattern] = []  # noqa: RUF012

    @field_validator("pull")
    @classmethod
    def _include_push(cls, pull: list[str], info: ValidationInfo) -> list[str]:
        return list(dict.fromkeys([*info.data.get("push", []), *pull]))

    @model_validator(mode="after")
    def _require_a_right(self) -> Self:
        if not self.pull:
            raise ValueError("expected at least one repository in push or pull")
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
    class_name: Label = "traefik"
    controller_namespace: Label = "kube-system"
    host_network: bool = False
    tcp_route: bool = True

    @property
    def by_tcp_route(self) -> bool:
        """Whether connections are passed on instead of requests, where there is TLS."""
        return self.controller == "traefik" and self.tcp_route


class _Terminated(Section):
    """TLS that Traefik ends.

    Attributes:
        client_ca: Certificates, in PEM, of who signs clients' certificates; clients without one
            are refused. None asks for none.
    """

    client_ca: Certificate | None = None


class TlsAcme(_Terminated):
    """A certificate that Traefik gets itself.

    Attributes:
        mode: Says that it is this way.
        resolver: The name of a certificate resolver in Traefik's own configuration.
    """

    mode: Literal["acme"] = "acme"
    resolver: Label = "letsencrypt"


class TlsCertManager(_Terminated):
    """A certificate that cert-manager gets.

    Attributes:
        mode: Says that it is this way.
        issuer: The name of the issuer.
        issuer_kind: Whether it is the cluster's, or of the registry's namespace.
        secret_name: The Secret that cert-manager keeps the certificate in.
    """

    mode: Literal["certManager"] = "certManager"
    issuer: Label
    issuer_kind: Literal["ClusterIssuer", "Issuer"] = "ClusterIssuer"
    secret_name: Label = "registry-tls"  # noqa: S105 - the name of a Secret


class TlsSecret(_Terminated):
    """A certificate that somebody puts into a Secret.

    Attributes:
        mode: Says that it is this way.
        secret_name: The Secret of type kubernetes.io/tls in the registry's namespace.
    """

    mode: Literal["secret"] = "secret"
    secret_name: Label = "registry-tls"  # noqa: S105 - the name of a Secret


class TlsNone(Section):
    """No TLS: something in front of the ingress ends it.

    Attributes:
        mode: Says that it is this way.
    """

    mode: Literal["none"] = "none"


TlsSettings = TlsSecret | TlsAcme | TlsCertManager | TlsNone
"""The ways to TLS; the first is the default."""


class NodesSettings(Section):
    """How the cluster's nodes pull from the registry.

    Attributes:
        mirror_prefix: A name that image references may start with instead of the host name, such as
            example.com for example.com/app. None for none.
        override_docker_io: Pull images of docker.io from the registry, and only from there.
        ca_file: Where the nodes have the certificates of who signed the registry's, if that is
            nobody they know.
        configure: Let a DaemonSet write registries.yaml on all nodes, and restart k3s there.
    """

    mirror_prefix: Hostname | None = None
    override_docker_io: bool = False
    ca_file: NodePath | None = None
    configure: bool = False


class PullSecretsSettings(Section):
    """Secrets that let pods pull without their nodes being set up.

    Attributes:
        namespaces: Existing namespaces that get one.
        default_service_account: Let all pods of those namespaces use it, by their default service
            account.
    """

    namespaces: list[Label] = []  # noqa: RUF012 - pydantic copies it
    default_service_account: bool = False


class ScriptsSettings(Section):
    """The pods that run one of scripts/.

    Attributes:
        image: Has Python 3.9 or newer as ``python3``.
    """

    image: Image = "docker.io/library/python:3.13.7-alpine3.22"
