"""An S3 client that is small enough to run in any pod: it signs requests, and reads answers.

Plain Python 3.9 with nothing installed; part of check_storage.py.
"""

from __future__ import annotations

import configparser
import hashlib
import hmac
import http.client
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlencode, urlsplit

REQUEST_SECONDS = 10
"""How long one answer may take."""

ALGORITHM = "AWS4-HMAC-SHA256"

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Key:
    """A storage key.

    Attributes:
        access: Its public half.
        secret: Its secret.
    """

    access: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What the server answered.

    Attributes:
        status: The HTTP status.
        headers: Names in small letters.
        body: All of it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def element(self, name: str) -> str:
        """Answer the text of the body's first XML element of a name; empty if there is none."""
        found = re.search(rf"<{name}>([^<]*)</{name}>", self.body.decode(errors="replace"))
        return found[1] if found else ""


def sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes, key: Key, region: str, when: str
) -> dict[str, str]:
    """Sign a request: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html.

    Args:
        method: The HTTP method.
        url: All of it, quoted; its query sorted.
        headers: To be sent and signed, in small letters, besides those that every request has.
        body: What is sent.
        key: Whose signature.
        region: The region that it is for.
        when: The time in UTC, such as 20130524T000000Z.

    Returns:
        All headers to send.
    """
    parts = urlsplit(url)
    hashed = hashlib.sha256(body).hexdigest()
    sent = {**headers, "host": parts.netloc, "x-amz-content-sha256": hashed, "x-amz-date": when}
    lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
    names = ";".join(sorted(sent))
    request = "\n".join([method, parts.path or "/", parts.query, lines, names, hashed])
    scope = f"{when[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join([ALGORITHM, when, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = f"AWS4{key.secret}".encode()
    for part in [*scope.split("/"), to_sign]:
        signature = hmac.new(signature, part.encode(), hashlib.sha256).digest()
    told = f"Credential={key.access}/{scope},SignedHeaders={names},Signature={signature.hex()}"
    return {**sent, "authorization": f"{ALGORITHM} {told}"}


def send(method: str, url: str, headers: Mapping[str, str] = NOTHING, body: bytes = b"") -> Answer:
    """Send one request as it is; a redirect is an answer like any other.

    Args:
        method: The HTTP method.
        url: All of it, quoted.
        headers: All of them; without a signature the sender is a stranger.
        body: What to send.

    Raises:
        OSError: If there was no answer.
        http.client.HTTPException: If it was not one of HTTP.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=REQUEST_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body, dict(headers))
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())
    finally:
        connection.close()


def read_key(path: Path) -> Key:
    """Read a shared credentials file, the one that the registry reads too.

    https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html

    Args:
        path: The file.
    """
    file = configparser.RawConfigParser()
    file.read_string(path.read_text())
    return Key(file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])


def speaks_other_scheme(endpoint: str) -> bool:
    """Tell whether an endpoint's port speaks http where the URL says https, or the reverse.

    Args:
        endpoint: A URL.
    """
    parts = urlsplit(endpoint)
    secure = parts.scheme == "https"
    address = (parts.hostname, parts.port or (443 if secure else 80))
    try:
        with socket.create_connection(address, REQUEST_SECONDS) as connection:
            if secure:
                connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
                return connection.recv(5) == b"HTTP/"
            # Whose certificate it is does not matter: nothing is sent.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.wrap_socket(connection).close()
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Bucket:
    """A bucket, as the holder of a key sees it.

    Attributes:
        endpoint: The S3 server's URL, without the bucket.
        region: The region that requests are signed for.
        name: The bucket's name.
        path_style: Whether the bucket is named in the path instead of the host name.
        key: What opens it.
    """

    endpoint: str
    region: str
    name: str
    path_style: bool
    key: Key

    def url(self, name: str = "", query: Mapping[str, str] = NOTHING) -> str:
        """Write an object's URL: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html.

        Args:
            name: The object's key; empty for the bucket itself.
            query: Names and values.
        """
        scheme, _, host = self.endpoint.partition("://")
        base = f"{host}/{self.name}" if self.path_style else f"{self.name}.{host}"
        path = f"/{quote(name)}" if name or not self.path_style else ""
        asked = urlencode(sorted(query.items()), quote_via=quote, safe="")
        return f"{scheme}://{base}{path}" + (f"?{asked}" if asked else "")

    def call(
        self, method: str, name: str = "", query: Mapping[str, str] = NOTHING, body: bytes = b""
    ) -> Answer:
        """Send one signed request; raises what :func:`send` does.

        Args:
            method: The HTTP method.
            name: The object's key; empty for the bucket itself.
            query: Names and values.
            body: What to send.
        """
        url = self.url(name, query)
        when = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")  # noqa: UP017 - 3.11 has UTC
        return send(method, url, sign(method, url, {}, body, self.key, self.region, when), body)
