"""What the providers need to reach the cloud and the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from settings.problems import Problem

DEFAULT_SPACES_ENDPOINT = "https://{{.Region}}.digitaloceanspaces.com"
"""https://www.pulumi.com/registry/packages/digitalocean/installation-configuration/"""


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


def find_access(config: Mapping[str, str], environment: Mapping[str, str]) -> Access:
    """Find what the providers need; their own configuration keys come before the environment.

    Args:
        config: The stack's configuration: ``namespace:key`` to text.
        environment: The process's environment.
    """
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


def missing_access(access: Access, environment: Mapping[str, str]) -> list[Problem]:
    """Tell what is missing to create a Space.

    Args:
        access: What was found.
        environment: The process's environment.
    """
    problems = []
    tokens = ("DIGITALOCEAN_TOKEN", "DIGITALOCEAN_ACCESS_TOKEN")
    if not access.token and not any(environment.get(name) for name in tokens):
        problems.append(
            Problem(
                "digitalocean:token",
                "(not set)",
                "expected a DigitalOcean API token, here or as DIGITALOCEAN_TOKEN in the shell",
                "pulumi config set --secret digitalocean:token",
            )
        )
    secret = access.spaces_secret_key or environment.get("SPACES_SECRET_ACCESS_KEY")
    if access.has_spaces_key and not secret:
        problems.append(
            Problem(
                "digitalocean:spacesSecretKey",
                "(not set)",
                "expected the secret that belongs to the Spaces key you gave",
                "pulumi config set --secret digitalocean:spacesSecretKey",
            )
        )
    return problems
