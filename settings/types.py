"""The types of settings' values: what is taken, and what is said to what is not."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

OLDEST_VERSION = (3, 1, 2)
"""Older ones lose tags from listings on S3, and have known vulnerabilities:
https://github.com/distribution/distribution/issues/4891"""

_DNS_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


class Section(BaseModel):
    """Settings that belong together; refuses keys that it does not know."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, validate_default=True
    )


class FixableError(ValueError):
    """A value is refused, and the right one is known.

    Args:
        expected: What is expected, or why it is refused.
        right: The value to set instead.
    """

    def __init__(self, expected: str, right: str) -> None:
        super().__init__(expected)
        self.right = right


def matching(pattern: str, expected: str) -> AfterValidator:
    """Make a validator that refuses what does not match a pattern as a whole.

    Args:
        pattern: A regular expression.
        expected: What it stands for, in words.
    """

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"expected {expected}")
        return value

    return AfterValidator(check)


def _recent(image: str) -> str:
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
    matching(
        rf"(?=.{{1,253}}$){_DNS_LABEL}(\.{_DNS_LABEL})+",
        "a host name in small letters, such as registry.example.com: no scheme, port or path",
    ),
]
Label = Annotated[
    str, matching(_DNS_LABEL, "at most 63 small letters, digits and hyphens, such as registry")
]
Memory = Annotated[
    str, matching(r"[1-9]\d*[KMGT]i", "a whole number of binary units, such as 128Mi or 10Gi")
]
Cpu = Annotated[str, matching(r"[1-9]\d*m?", "cores or thousandths of a core, such as 1 or 50m")]
User = Annotated[
    str, matching(r"[A-Za-z0-9._-]{1,64}", "letters, digits, dots, hyphens and underscores")
]
NamedUser = Annotated[
    str,
    matching(
        r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?",
        "a user name of at most 32 lowercase letters, digits and hyphens, such as ci",
    ),
]
_REPOSITORY = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
RepositoryPattern = Annotated[
    # https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
    str,
    matching(
        rf"(?=.{{1,255}}$)(\*|{_REPOSITORY}(/{_REPOSITORY})*(/\*)?)",
        "a repository such as team-a/app, all below a path such as team-a/*, or * for all",
    ),
]
Image = Annotated[
    str, matching(r"[^@\s]+:[^/:@\s]+(@sha256:[0-9a-f]{64})?", "name:tag, with a tag that stays")
]
RegistryImage = Annotated[str, AfterValidator(_recent)]
NamePrefix = Annotated[
    # 63 characters are a bucket name's limit, 9 of them are the random suffix's.
    str,
    matching(r"[a-z0-9][a-z0-9-]{1,53}", "2 to 54 small letters, digits and hyphens"),
]
Bucket = Annotated[
    str, matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "the name of an existing bucket")
]
Endpoint = Annotated[
    str,
    matching(
        r"https?://[A-Za-z0-9.-]+(:\d{1,5})?",
        "a URL without bucket and path, such as https://s3.eu-central-1.amazonaws.com",
    ),
]
S3Region = Annotated[str, matching(r"[a-z0-9-]{1,63}", "a region's name, such as us-east-1")]
Text = Annotated[str, matching(r"\S.*", "some text")]
Folder = Annotated[
    str, matching(r"([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*)?", "a path such as images/registry")
]
Certificate = Annotated[
    str,
    matching(
        r"(?s)\s*-----BEGIN CERTIFICATE-----.*-----END CERTIFICATE-----\s*",
        "one or more certificates in PEM",
    ),
]
NodePath = Annotated[str, matching(r"/\S+", "an absolute path on the nodes")]

SpacesRegion = Literal[
    "ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1"
]
"""https://docs.digitalocean.com/platform/regional-availability/"""
