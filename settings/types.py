"""Constrained field types: what they take, and what a refused value should be instead."""

from __future__ import annotations

import re
import ssl
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from settings.commands import Ask, FromFile
from settings.section import FixableError, Text, hyphenate, lower, matching, trim

_OLDEST_PYTHON = (3, 9)

LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
SUBDOMAIN = rf"(?=[a-z0-9.-]{{1,253}}(?![a-z0-9.-])){LABEL}(\.{LABEL})*"
"""Both from https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""

_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = rf"{_COMPONENT}(/{_COMPONENT})*"
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests"""

_DIGEST = "@sha256:[0-9a-f]{64}"
_DOMAIN_PART = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = rf"{_DOMAIN_PART}((\.{_DOMAIN_PART})+(:\d+)?|:\d+)"
_IMAGE = (
    rf"(?P<name>({_DOMAIN}/)?(?=[^:@]{{1,255}}[:@]){_REPOSITORY})"
    rf"(:(?P<tag>(?!latest$)[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})({_DIGEST})?|{_DIGEST})"
)
"""https://github.com/distribution/reference/blob/main/regexp.go; a first part with neither dot nor
port is no domain."""


def _image(text: str) -> str:
    reference = re.sub("^[a-z-]+://", "", trim(text))
    # Tags are case-sensitive, all else is in lowercase.
    return re.sub("^.*?(?=:[^/:@]*(@|$)|@|$)", lambda name: name[0].lower(), reference)


def _recent(oldest: tuple[int, int, int], tested: str, reason: str) -> AfterValidator:
    """Return a validator that refuses an image whose tag does not tell that it is recent enough.

    Args:
        tested: The version to propose instead.
        reason: What older ones do.
    """

    def check(image: str) -> str:
        match = re.fullmatch(_IMAGE, image)
        version = re.match(r"v?(\d+)\.(\d+)\.(\d+)(?!\d)", (match and match["tag"]) or "")
        if version and tuple(map(int, version.groups())) >= oldest:
            return image
        right = re.sub("(:[^/]*)?$", f":{tested}", _image(image).partition("@")[0], count=1)
        raise FixableError(
            f"expected name:version, with a whole version of {'.'.join(map(str, oldest))} or "
            f"newer: older ones {reason}",
            right if re.fullmatch(_IMAGE, right) else Ask.VALUE,
        )

    return AfterValidator(check)


def _recent_python(image: str) -> str:
    """Refuse an image called python whose tag is of a version that is too old."""
    tag = re.fullmatch(r"(?:.*/)?python:(\d+(?:\.\d+)*).*", image)
    version = tuple(map(int, tag[1].split("."))) if tag else _OLDEST_PYTHON
    if version < _OLDEST_PYTHON[: len(version)]:
        raise FixableError(f"expected Python {'.'.join(map(str, _OLDEST_PYTHON))} or newer")
    return image


def _bucket(text: str) -> str:
    return lower(text).removeprefix("s3://").rstrip("/")


def _memory(text: str) -> str:
    return re.sub(r"\s*([kmgt])i?b?$", lambda unit: f"{unit[1].upper()}i", lower(text))


def _cores(text: str) -> str:
    cores = lower(text).replace(" ", "")
    return f"{round(float(cores) * 1000)}m" if re.fullmatch(r"\d*\.\d+", cores) else cores


def _folder(text: str) -> str:
    return "/".join(part for part in trim(text).split("/") if part not in ("", "."))


def _node_path(text: str) -> str:
    return f"/{_folder(text)}" if trim(text).startswith("/") else text


def _repositories(text: str) -> str:
    path = re.sub("/+", "/", re.sub("^[a-z]+://[^/]*", "", lower(text)))
    # No rights to everything unless a star asks for them.
    return re.sub(r"(?<=[^/])/\**$", "/*", path).removeprefix("/")


def _yaml_date(value: object) -> object:
    """Return a date as it was written: without quotes, Pulumi takes YAML's for a time."""
    return value.removesuffix(" 00:00:00 +0000 UTC") if isinstance(value, str) else value


def _existing_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise FixableError(f"expected a day that exists: {error}") from None
    return text


def _certificates(text: str) -> str:
    """Refuse what is not certificates in PEM, and nothing but certificates."""
    expected = "expected one or more certificates in PEM"
    # The path of a file instead of its contents is the commonest slip.
    path = re.fullmatch(r"[^\s-]\S*\.\S+", trim(text))
    file = FromFile(Path(path[0]).expanduser() if path else "ca.pem")
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError, TypeError):
        raise FixableError(expected, file) from None
    if "PRIVATE KEY" in text:
        raise FixableError(f"{expected}, without a private key", FromFile("ca.pem"))
    return text


Label = Annotated[
    Text,
    matching(
        LABEL, "at most 63 lowercase letters, digits and hyphens, such as registry", hyphenate
    ),
]
Namespace = Annotated[
    Text,
    matching(
        # The namespace of what configures nodes has a name six characters longer.
        rf"(?=.{{1,57}}$)(?!kube-|default$){LABEL}",
        "at most 57 lowercase letters, digits and hyphens, such as registry; not default, not "
        "kube-...",
        lambda text: hyphenate(text)[:57].strip("-"),
    ),
]
ObjectName = Annotated[
    Text,
    matching(
        SUBDOMAIN,
        "the name of a Kubernetes object: lowercase letters, digits, hyphens and dots",
        hyphenate,
    ),
]
GatewayListener = Annotated[
    Text,
    matching(
        rf"{LABEL}/{SUBDOMAIN}/{SUBDOMAIN}",
        "the namespace and name of a Gateway and the name of its listener, such as "
        "gateways/public/https",
    ),
]
Resolver = Annotated[
    Text, matching("[A-Za-z0-9_-]{1,63}", "a name of letters, digits, hyphens and underscores")
]
Memory = Annotated[
    Text,
    matching(r"[1-9]\d*[KMGT]i", "a whole number of binary units, such as 128Mi or 10Gi", _memory),
]
Cpu = Annotated[
    str,
    BeforeValidator(str),
    matching(r"[1-9]\d{0,5}m?", "cores or thousandths of a core, such as 1 or 50m", _cores),
]
User = Annotated[
    Text,
    matching(
        "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
        "at most 64 letters, digits, dots, hyphens and underscores",
        lambda text: re.sub("[^A-Za-z0-9._-]+", "-", text).strip("._-"),
    ),
]
NamedUser = Annotated[
    str,
    matching(
        "[a-z]([a-z0-9-]{0,30}[a-z0-9])?",
        "a user name of at most 32 lowercase letters, digits and hyphens, such as ci",
        lambda name: re.sub("^(?![a-z])", "u", hyphenate(name))[:32].rstrip("-"),
    ),
]
Day = Annotated[
    Text,
    matching(r"2\d{3}-\d\d-\d\d", "a day such as 2027-03-31"),
    AfterValidator(_existing_day),
    BeforeValidator(_yaml_date),
]
CacheName = Annotated[
    # Its Service is cache-<name>.
    str,
    matching(
        "[a-z]([a-z0-9-]{0,30}[a-z0-9])?",
        "at most 32 lowercase letters, digits and hyphens, such as docker",
        lambda name: re.sub("^(?![a-z])", "c", hyphenate(name))[:32].rstrip("-"),
    ),
]
RepositoryPattern = Annotated[
    Text,
    matching(
        rf"(?=.{{1,255}}$)(\*|{_REPOSITORY}(/\*)?)",
        "a repository such as team-a/app, all below a path such as team-a/*, or * for all",
        _repositories,
    ),
]


def some_repositories(repositories: list[str]) -> list[str]:
    """Return what a rule names; no pattern at all is refused."""
    if not repositories:
        raise FixableError("expected at least one repository, or * for all", ["*"])
    return repositories


Image = Annotated[
    Text,
    matching(_IMAGE, "name:tag, with a tag that stays, or name@sha256:<digest>", _image),
]
RegistryImage = Annotated[
    # https://github.com/distribution/distribution/issues/4891
    Text,
    _recent((3, 1, 2), "3.1.2", "list tags wrongly on S3"),
]
ProxyImage = Annotated[
    # https://github.com/caddyserver/caddy/pull/7186
    Text,
    _recent((2, 11, 0), "2.11.9", "do not know the hashes of passwords"),
]
ScriptsImage = Annotated[Image, AfterValidator(_recent_python)]
TrivyImage = Annotated[
    # https://github.com/aquasecurity/trivy/security/advisories/GHSA-69fq-xp46-6x23
    Text,
    _recent((0, 70, 0), "0.76.2", "may steal passwords: 0.69.4 to 0.69.6 were attackers'"),
]
Artifact = Annotated[
    Text,
    matching(
        rf"(?={_DOMAIN}/){_IMAGE}",
        "host/name:tag or host/name@sha256:<digest>, such as ghcr.io/aquasecurity/trivy-db:2",
        _image,
    ),
]
NamePrefix = Annotated[
    # 63 characters are a bucket name's limit, 9 of them are the random suffix's.
    Text,
    matching(
        "(?!xn--)[a-z0-9][a-z0-9-]{0,53}",
        "at most 54 lowercase letters, digits and hyphens",
        hyphenate,
    ),
]
Bucket = Annotated[
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    Text,
    matching(
        rf"(?=.{{3,63}}$)(?!xn--)(?!\d+(\.\d+){{3}}$){LABEL}(\.{LABEL})*",
        "the name of an existing bucket",
        _bucket,
    ),
]
WebhookAction = Literal["push", "pull", "delete"]
"""https://github.com/distribution/distribution/blob/v3.1.2/notifications/event.go"""

S3Region = Annotated[
    Text, matching("[A-Za-z0-9][A-Za-z0-9_-]{0,62}", "a region's name, such as us-east-1")
]
AccessKey = Annotated[
    # It stands in headers whose parts are divided by slashes, commas and equals signs.
    Text,
    matching("[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}", "an access key ID"),
]
SecretKey = Annotated[
    # What the registry's SDK reads from a credentials file as it was written there:
    # https://github.com/aws/aws-sdk-go/tree/v1.55.5/internal/ini
    Text,
    Field(repr=False),
    matching('(?!["#,;])[!-~]+', "a secret access key, without quotes or spaces around it"),
]
_PART = r"(?!\.{1,2}(/|$))[A-Za-z0-9._-]+"
Folder = Annotated[
    Text,
    matching(rf"(?=.{{0,255}}$)({_PART}(/{_PART})*)?", "a path such as images/registry", _folder),
]
Certificates = Annotated[Text, AfterValidator(_certificates)]
NodePath = Annotated[
    Text,
    matching(
        r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._@%+=,~-]+)+", "an absolute path on the nodes", _node_path
    ),
]

SpacesRegion = Literal[
    "ams3", "atl1", "blr1", "fra1", "lon1", "nyc3", "sfo2", "sfo3", "sgp1", "syd1", "tor1"
]
"""https://docs.digitalocean.com/platform/regional-availability/"""
