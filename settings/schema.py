"""The sections of the settings: which keys there are, of which type, with which default."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

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
        moved_from: The URL of the place that the images were copied from, which allows `pulumi up`
            to switch to this bucket. None keeps the registry where its images are.
    """

    kind: Literal["s3"] = "s3"
    bucket: Bucket
    endpoint: Endpoint
    region: S3Region = "us-east-1"
    access_key: Text
    secret_key: Annotated[Text, Field(repr=False)]
    path_style: bool = True
    root_directory: Folder = ""
    moved_from: Text | None = None

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
        parallel_uploads: Layers that may be uploaded to one pod at a time; sets its memory limit.
        resources: What the scheduler reserves for each pod.
    """

    image: RegistryImage = "docker.io/library/registry:3.1.2"
    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    parallel_uploads: Annotated[int, Field(ge=1, le=1000)] = 16
    resources: Resources = Resources()


class IngressSettings(Section):
    """How requests reach the registry.

    Attributes:
        class_name: The IngressClass of the Traefik that serves the registry.
        controller_namespace: The namespace of that Traefik's pods, which alone may reach the
            registry's.
        upload_timeout: Seconds that sending one layer may take; more than Traefik's default of 60
            changes k3s' Traefik as a whole. None leaves it as it is.
    """

    class_name: Label = "traefik"
    controller_namespace: Label = "kube-system"
    upload_timeout: Annotated[int, Field(gt=60, le=86400)] | None = None


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
