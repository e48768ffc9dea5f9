"""The caches of other registries."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from settings.section import FixableError, Positive, Section, Text, matching
from settings.servers import HeaderValue, Upstream

DOCKER_IO = "docker.io"
"""What the names of Docker Hub's images start with; no registry listens there."""

_DOCKER_IO_HOSTS = ("index.docker.io", "registry-1.docker.io", "hub.docker.com")


def _as_images_are_called(upstream: str) -> str:
    if upstream in _DOCKER_IO_HOSTS:
        raise FixableError("expected what the names of its images start with", DOCKER_IO)
    return upstream


_Username = Annotated[Text, matching("[!-9;-~]+", "a user name without spaces and colons")]


class CacheSettings(Section):
    """A cache of another registry."""

    upstream: Annotated[Upstream, AfterValidator(_as_images_are_called)]
    """What the names of its images start with: `docker.io`, `ghcr.io`, `quay.io`,
    `registry.k8s.io`, or another registry's host and port. `http://` before it is for one without
    TLS."""
    username: _Username | None = None
    """The user of the registry that the cache logs in as; without one, it does not log in."""
    password: Annotated[HeaderValue | None, Field(repr=False)] = None
    """Its password, or a token of it."""
    keep_days: Annotated[Positive, Field(le=365)] = 30
    """For how many days it keeps what it has fetched."""
    max_gib: Positive = 50
    """How many GiB it keeps; what it has fetched first goes first."""

    @property
    def host(self) -> str:
        """What the names of the images start with."""
        return self.upstream.removeprefix("http://")

    @property
    def url(self) -> str:
        """The URL of the registry."""
        if self.host == DOCKER_IO:
            return "https://registry-1.docker.io"
        return self.upstream if self.upstream != self.host else f"https://{self.host}"
