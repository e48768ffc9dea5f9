"""Types of what leads to a server: hostnames, addresses, URLs."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

from settings.commands import Ask
from settings.section import FixableError, Text, lower, matching, trim
from settings.types import SUBDOMAIN

_DOMAIN_NAME = rf"(?!.*\.\d+$)(?=.*\.){SUBDOMAIN}"
"""A hostname with a dot, and no IPv4 address."""


def _host(text: str) -> str:
    """Return the host of what may be a URL."""
    rest = re.sub("^[a-z0-9]+:/+", "", lower(text)).rpartition("@")[2]
    return re.split("[/?#:]", rest)[0].strip(".")


def _endpoint(text: str) -> str:
    url = lower(text)
    host = re.split("[/?#]", url.rpartition("://")[2].rpartition("@")[2])[0].rstrip(".")
    return f"{'http' if url.startswith('http://') else 'https'}://{host}"


def _url(text: str) -> str:
    """Return what may be a URL with a scheme and a hostname in lowercase, without a fragment."""
    url = re.sub("^(?![A-Za-z]+://)", "https://", trim(text).partition("#")[0])
    return re.sub("^[^/]*//[^/?]*", lambda server: server[0].lower(), url)


def _directory(text: str) -> str:
    url = re.sub("^http:", "https:", _url(text))
    return re.sub("^(https://[^/]+)/?$", r"\1/directory", url)


def _email(text: str) -> str:
    address = re.sub("^.*<|>.*$|^(?i:mailto):", "", trim(text))
    return re.sub("@.*", lambda domain: domain[0].lower(), address)


def _ip_address(text: str) -> str | None:
    """Return an address that clients reach in its canonical spelling; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    here = address.is_loopback or address.is_link_local or address.is_unspecified
    return None if here or address.is_multicast or "%" in text else str(address)


def _address(text: str) -> str:
    if address := _ip_address(text):
        return address
    host = re.sub("^[a-z]+://|/(32|128)?$", "", lower(text))
    bare = re.sub(r"^\[(.*)\].*|^([^:]*):\d*$", r"\1\2", host)
    raise FixableError(
        "expected an IPv4 or IPv6 address that clients reach", _ip_address(bare) or Ask.VALUE
    )


Hostname = Annotated[
    Text,
    matching(
        _DOMAIN_NAME,
        "a hostname in lowercase letters, such as registry.example.com: no scheme, port or path",
        _host,
    ),
]
IpAddress = Annotated[Text, AfterValidator(_address)]
_PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
Endpoint = Annotated[
    Text,
    matching(
        # What leads to the pod itself, or to its node's metadata service, is no S3 server.
        rf"https?://(?!localhost(:|$)|127\.|0\.0\.0\.0|169\.254\.){SUBDOMAIN}(:{_PORT})?",
        "a URL without bucket and path, such as https://s3.eu-central-1.amazonaws.com",
        _endpoint,
    ),
]
Upstream = Annotated[
    Text,
    matching(
        # As for an endpoint; without a dot before the port, it is no host in an image's name.
        rf"(http://)?(?!localhost[:.]|127\.|0\.0\.0\.0|169\.254\.)(?=[^:]*\.){SUBDOMAIN}(:{_PORT})?",
        "the host of another registry, such as docker.io or ghcr.io",
        lambda text: _endpoint(text).removeprefix("https://"),
    ),
]
WebhookUrl = Annotated[
    Text,
    matching(
        rf"https?://(?!localhost(:|/|$)|127\.|0\.0\.0\.0|169\.254\.){SUBDOMAIN}(:{_PORT})?"
        r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?",
        "a URL such as https://ci.example.com/hooks/registry",
        _url,
    ),
]
HeaderName = Annotated[
    str, matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "the name of a header, such as Authorization")
]
HeaderValue = Annotated[
    # https://www.rfc-editor.org/rfc/rfc9110#section-5.5
    Text,
    matching("[!-~]([ -~]*[!-~])?", "one line of ASCII, without spaces around it"),
]
AcmeServer = Annotated[
    Text,
    matching(
        rf"https://{SUBDOMAIN}(:{_PORT})?(/[A-Za-z0-9._~-]+)+/?",
        "the URL of an ACME server's directory, such as "
        "https://acme-staging-v02.api.letsencrypt.org/directory",
        _directory,
    ),
]
Email = Annotated[
    Text,
    matching(
        rf"[A-Za-z0-9._%+-]{{1,64}}@{_DOMAIN_NAME}",
        "an email address, such as you@example.com",
        _email,
    ),
]
