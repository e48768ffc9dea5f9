"""Everything that this program reads from its configuration and environment, read and checked once.

The models are the one place that knows a setting's type, default and meaning; Pulumi.yaml repeats
names and defaults for `pulumi config` and `pulumi new`, and a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.alias_generators import to_camel

from components.errors import Problem, SettingsError, problems_of

OLDEST_VERSION = (3, 1, 2)
"""Older ones lose tags from listings on S3, and have known vulnerabilities:
https://github.com/distribution/distribution/issues/4891"""

DEFAULT_SPACES_ENDPOINT = "https://{{.Region}}.digitaloceanspaces.com"
"""https://www.pulumi.com/registry/packages/digitalocean/installation-configuration/"""

Region = Literal[
    "ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1"
]
"""https://docs.digitalocean.com/platform/regional-availability/"""

_DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


def _matching(pattern: str, expected: str) -> AfterValidator:
    """Make a validator that refuses what does not match the pattern as a whole."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


def _recent_image(image: str) -> str:
    """Refuse an image of the registry whose tag does not tell a version that is recent enough."""
    oldest = ".".join(map(str, OLDEST_VERSION))
    tag = re.fullmatch(r"[^@\s]+:v?(\d+)\.(\d+)\.(\d+)[^/@:\s]*(@sha256:[0-9a-f]{64})?", image)
    if not tag:
        raise ValueError(f"expected name:version, with a whole version of {oldest} or newer")
    if tuple(int(part) for part in tag.group(1, 2, 3)) < OLDEST_VERSION:
        raise ValueError(f"expected {oldest} or newer: older ones list tags wrongly on S3")
    return image


Hostname = Annotated[
    str,
    _matching(
        rf"(?=.{{1,253}}$){_DNS_LABEL}(\.{_DNS_LABEL})+",
        "a host name in small letters, such as registry.example.com: no scheme, port or path",
    ),
]
Label = Annotated[
    str, _matching(_DNS_LABEL, "at most 63 small letters, digits and hyphens, such as registry")
]
Memory = Annotated[
    str,
    _matching(r"[1-9]\d*[KMGT]i", "a whole number of binary units, such as 128Mi or 10Gi"),
]
Cpu = Annotated[str, _matching(r"[1-9]\d*m?", "cores or thousandths of a core, such as 1 or 50m")]
User = Annotated[
    str, _matching(r"[A-Za-z0-9._-]{1,64}", "letters, digits, dots, hyphens and underscores")
]
Image = Annotated[
    str, _matching(r"[^@\s]+:[^/:@\s]+(@sha256:[0-9a-f]{64})?", "name:tag, with a tag that stays")
]


class Section(BaseModel):
    """Settings that belong together; refuses keys that it does not know."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, validate_default=True
    )


class StorageSettings(Section):
    """The Space that keeps the images.

    Attributes:
        region: The datacenter region of the Space; best that of the cluster.
        name_prefix: What the Space's name starts with. A random suffix follows it, since a deleted
            Space's name stays blocked for weeks: https://docs.digitalocean.com/products/spaces/details/limits/
        protect: Refuse to delete the Space, and so `pulumi destroy` as a whole.
        force_destroy: Delete a Space together with the images in it.
    """

    region: Region = "nyc3"
    # 63 characters are a bucket name's limit, 9 of them are the suffix's.
    name_prefix: Annotated[
        str,
        _matching(
            r"[a-z0-9][a-z0-9-]{1,53}",
            "3 to 54 small letters, digits and hyphens, such as registry",
        ),
    ] = "registry"
    protect: bool = True
    force_destroy: bool = False

    @field_validator("force_destroy")
    @classmethod
    def _deletable(cls, force_destroy: bool, info: ValidationInfo) -> bool:
        if info.data.get("protect") is False and not force_destroy:
            raise ValueError(
                "expected true where protect is false: a Space with images in it cannot be deleted "
                "otherwise, and `pulumi destroy` would stop half-way"
            )
        return force_destroy


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

    image: Annotated[str, AfterValidator(_recent_image)] = "docker.io/library/registry:3.1.2"
    replicas: Annotated[int, Field(ge=1, le=20)] = 1
    parallel_uploads: Annotated[int, Field(ge=1, le=1000)] = 16
    resources: Resources = Resources()


class EdgeSettings(Section):
    """How requests reach the registry.

    Attributes:
        ingress_class: The IngressClass that serves the registry.
        ingress_namespace: The namespace of the ingress controller's pods, which alone may reach
            the registry's.
    """

    ingress_class: Label = "traefik"
    ingress_namespace: Label = "kube-system"


class TlsSettings(Section):
    """Who ends TLS, and with which certificate.

    Attributes:
        mode: ``secret``: the ingress controller, with an existing Secret. ``none``: something in
            front of it; the Ingress then answers plain HTTP.
        secret_name: For ``secret``: a Secret of type kubernetes.io/tls in the registry's namespace.
    """

    mode: Literal["secret", "none"] = "secret"
    secret_name: Label = "registry-tls"  # noqa: S105 - the name of a Secret


class ProofSettings(Section):
    """The Job that proves the registry.

    Attributes:
        image: Has Python 3.9 or newer as ``python3``.
    """

    image: Image = "docker.io/library/python:3.13.7-alpine3.22"


class Settings(Section):
    """All settings of this program; each a key of the stack's configuration.

    Attributes:
        hostname: The name under which clients reach the registry.
        namespace: The namespace that is created for it.
        admin_user: The name to log in with.
        storage: Where images are kept.
        registry: The workload.
        edge: How requests come in.
        tls: Who ends TLS.
        proof: The Job that proves the registry.
    """

    hostname: Hostname
    namespace: Label = "registry"
    admin_user: User = "admin"
    storage: StorageSettings = StorageSettings()
    registry: RegistrySettings = RegistrySettings()
    edge: EdgeSettings = EdgeSettings()
    tls: TlsSettings = TlsSettings()
    proof: ProofSettings = ProofSettings()


@dataclass(frozen=True, kw_only=True)
class Access:
    """What the providers are given; None where the provider finds it in the environment itself.

    Attributes:
        token: DigitalOcean's API token.
        spaces_access_id: The user's own full-access Spaces key, if any.
        spaces_secret_key: Its secret.
        has_spaces_key: Whether the user brings a Spaces key, here or in the environment.
        spaces_endpoint: The address of Spaces; ``{{.Region}}`` in it stands for the region.
        kubeconfig: Contents or path of a kubeconfig.
        context: The kubeconfig's context.
    """

    token: str | None = field(repr=False)
    spaces_access_id: str | None
    spaces_secret_key: str | None = field(repr=False)
    has_spaces_key: bool
    spaces_endpoint: str
    kubeconfig: str | None = field(repr=False)
    context: str | None


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
    mine = {
        key.removeprefix(f"{project}:"): value
        for key, value in config.items()
        if key.startswith(f"{project}:")
    }
    hidden = frozenset(key.removeprefix(f"{project}:") for key in secret_keys)
    # An unset hostname comes as the empty default of Pulumi.yaml.
    values = {
        key: _value(key, text) for key, text in mine.items() if (key, text) != ("hostname", "")
    }
    access = _access(config, environment)
    problems: list[Problem] = []
    settings = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        problems = problems_of(error, Settings, hidden)
    problems += _access_problems(access, environment)
    if problems or settings is None:
        raise SettingsError(problems)
    return settings, access


def _value(key: str, text: str) -> object:
    """Read one value: an object is JSON, a string is itself."""
    described = Settings.model_fields.get(_snake(key))
    if described is None or described.annotation is str:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _snake(key: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", key).lower()


def _access(config: Mapping[str, str], environment: Mapping[str, str]) -> Access:
    """Find what the providers need; their own configuration keys come before the environment."""
    access_id = config.get("digitalocean:spacesAccessId")
    return Access(
        token=config.get("digitalocean:token"),
        spaces_access_id=access_id,
        spaces_secret_key=config.get("digitalocean:spacesSecretKey"),
        has_spaces_key=bool(access_id or environment.get("SPACES_ACCESS_KEY_ID")),
        spaces_endpoint=config.get("digitalocean:spacesEndpoint")
        or environment.get("SPACES_ENDPOINT_URL")
        or DEFAULT_SPACES_ENDPOINT,
        kubeconfig=config.get("kubernetes:kubeconfig"),
        context=config.get("kubernetes:context"),
    )


def _access_problems(access: Access, environment: Mapping[str, str]) -> list[Problem]:
    """Tell what is missing to reach DigitalOcean."""
    problems = []
    if not (
        access.token
        or environment.get("DIGITALOCEAN_TOKEN")
        or environment.get("DIGITALOCEAN_ACCESS_TOKEN")
    ):
        problems.append(
            Problem(
                "digitalocean:token",
                "(not set)",
                "expected a DigitalOcean API token, here or as DIGITALOCEAN_TOKEN in the shell",
                "pulumi config set --secret digitalocean:token",
            )
        )
    if access.has_spaces_key and not (
        access.spaces_secret_key or environment.get("SPACES_SECRET_ACCESS_KEY")
    ):
        problems.append(
            Problem(
                "digitalocean:spacesSecretKey",
                "(not set)",
                "expected the secret that belongs to the Spaces key you gave",
                "pulumi config set --secret digitalocean:spacesSecretKey",
            )
        )
    return problems
