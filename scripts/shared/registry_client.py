"""A client of a registry. Plain Python 3.9 with nothing installed."""

from __future__ import annotations

import argparse
import base64
import http.client
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.message import Message
from types import MappingProxyType

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCTETS = MappingProxyType({"Content-Type": "application/octet-stream"})

REQUEST_SECONDS = 30
"""How long one response may take."""


class RegistryError(Exception):
    """The registry did not work; says which request failed, and its response."""


@dataclass(frozen=True)
class Response:
    """A response of the registry.

    Attributes:
        status: The HTTP status.
        headers: Their names in any case.
        body: All of it.
    """

    status: int
    headers: Message
    body: bytes


class Registry:
    """A registry, as one client sees it.

    Args:
        url: Scheme, host and port, such as https://registry.example.com
        authorization: The value of the Authorization header; None for an anonymous client.
        tls: Whom to trust, and the client's own certificate; None for the defaults.
    """

    def __init__(
        self, url: str, authorization: str | None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.url, self.authorization, self.tls = url.rstrip("/"), authorization, tls

    def call(
        self,
        method: str,
        path: str,
        expected: Collection[int],
        body: bytes | None = None,
        headers: Mapping[str, str] = OCTETS,
    ) -> Response:
        """Send one request.

        Args:
            method: The HTTP method.
            path: A path, or a URL that the registry gave.
            expected: The accepted statuses.
            body: What to send.
            headers: More headers, among them the media type of what is sent.

        Raises:
            RegistryError: On another status, or half a response.
            OSError: If there was no response.
        """
        url = urllib.parse.urljoin(self.url + "/", path)
        request = urllib.request.Request(url, body, method=method)  # noqa: S310 - http or https
        request.add_header("Accept", f"{MANIFEST}, */*")
        for name, value in headers.items():
            request.add_header(name, value)
        if self.authorization:
            # Not sent to where a redirect leads: S3 servers refuse two kinds of authentication.
            request.add_unredirected_header("Authorization", self.authorization)
        try:
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=REQUEST_SECONDS, context=self.tls
            ) as stream:
                response = Response(stream.status, stream.headers, stream.read())
        except urllib.error.HTTPError as error:
            with error:
                response = Response(error.code, error.headers, error.read())
        except http.client.HTTPException as error:
            # Such as an end before all of a layer was sent.
            raise RegistryError(f"{method} {url}: {error!r}") from None
        if response.status not in expected:
            statuses = " or ".join(map(str, expected))
            excerpt = response.body[:300].decode(errors="replace").strip()
            raise RegistryError(
                f"{method} {url}: expected {statuses}, got {response.status} {excerpt}"
            )
        return response


def basic(username: str, password: str) -> str:
    """Return the value of an Authorization header (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def add_certificate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a client's certificate."""
    parser.add_argument("--cert", help="the client's certificate, if the registry wants one")
    parser.add_argument("--key", help="its private key; by default in the file of --cert")


def ssl_context(args: argparse.Namespace) -> ssl.SSLContext:
    """Return whom to trust, and the client's certificate that the arguments name."""
    tls = ssl.create_default_context()
    if args.cert:
        tls.load_cert_chain(args.cert, args.key)
    return tls
