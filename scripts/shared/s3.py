"""An S3 client that is small enough to run in any pod: it signs requests and reads responses."""

from __future__ import annotations

import configparser
import hashlib
import hmac
import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from urllib.parse import quote, urlencode, urlsplit

from scripts.shared.response import Response

REQUEST_SECONDS = 10
"""How long one response may take."""

ALGORITHM = "AWS4-HMAC-SHA256"

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Key:
    """A storage key."""

    access: str
    secret: str = field(repr=False)


def sign(
    method: str, url: str, headers: Mapping[str, str], body: bytes, key: Key, region: str, time: str
) -> dict[str, str]:
    """Return the headers of a signed request, which are the given ones and those of the signature.

    The URL is quoted, its query sorted; names of headers are in lower case; the time is such as
    20130524T000000Z. https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    parts = urlsplit(url)
    hashed = hashlib.sha256(body).hexdigest()
    sent = {**headers, "host": parts.netloc, "x-amz-content-sha256": hashed, "x-amz-date": time}
    lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
    names = ";".join(sorted(sent))
    request = "\n".join([method, parts.path or "/", parts.query, lines, names, hashed])
    scope = f"{time[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join([ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = f"AWS4{key.secret}".encode()
    for part in [*scope.split("/"), to_sign]:
        signature = hmac.new(signature, part.encode(), hashlib.sha256).digest()
    fields = f"Credential={key.access}/{scope},SignedHeaders={names},Signature={signature.hex()}"
    return {**sent, "authorization": f"{ALGORITHM} {fields}"}


def connect(url: str, seconds: float) -> http.client.HTTPConnection:
    """Return a connection to a URL's server, which may be silent for so many seconds."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=seconds)


def exchange(
    connection: http.client.HTTPConnection,
    method: str,
    url: str,
    headers: Mapping[str, str] = NOTHING,
    body: bytes = b"",
    read: Callable[[http.client.HTTPResponse], bytes] = http.client.HTTPResponse.read,
) -> Response:
    """Send one request, and return its response, which may be a redirect.

    Raises:
        OSError: If there was no response.
        http.client.HTTPException: If the response was not one of HTTP.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request(method, target, body, dict(headers))
    response = connection.getresponse()
    return Response(response.status, response.headers, read(response))


def send(
    method: str, url: str, headers: Mapping[str, str] = NOTHING, body: bytes = b""
) -> Response:
    """Send one request by a connection of its own; as :func:`exchange`."""
    with closing(connect(url, REQUEST_SECONDS)) as connection:
        return exchange(connection, method, url, headers, body)


def read_key(path: Path) -> Key:
    """Read a shared credentials file, as the registry does.

    https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
    """
    file = configparser.RawConfigParser()
    file.read_string(path.read_text())
    return Key(file["default"]["aws_access_key_id"], file["default"]["aws_secret_access_key"])


def speaks_other_scheme(endpoint: str) -> bool:
    """Return whether an endpoint's port speaks http where the URL says https, or the reverse."""
    parts = urlsplit(endpoint)
    secure = parts.scheme == "https"
    address = (parts.hostname, parts.port or (443 if secure else 80))
    try:
        with socket.create_connection(address, REQUEST_SECONDS) as connection:
            if secure:
                connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
                return connection.recv(5) == b"HTTP/"
            # The certificate does not matter: nothing is sent.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.wrap_socket(connection).close()
            return True
    except OSError:
        return False


@dataclass(frozen=True)
class Bucket:
    """A bucket that is accessed with a key.

    Attributes:
        endpoint: The S3 server's URL, without the bucket.
        region: The region that requests are signed for.
        path_style: Whether the bucket is named in the path instead of the host name.
    """

    endpoint: str
    region: str
    name: str
    path_style: bool
    key: Key

    def url(self, name: str = "", query: Mapping[str, str] = NOTHING) -> str:
        """Return an object's URL, quoted; without a name that of the bucket.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
        """
        scheme, _, host = self.endpoint.partition("://")
        base = f"{host}/{self.name}" if self.path_style else f"{self.name}.{host}"
        path = f"/{quote(name)}" if name or not self.path_style else ""
        encoded = urlencode(sorted(query.items()), quote_via=quote, safe="")
        return f"{scheme}://{base}{path}" + (f"?{encoded}" if encoded else "")

    def request(
        self, method: str, name: str = "", query: Mapping[str, str] = NOTHING, body: bytes = b""
    ) -> Response:
        """Send one signed request, and return its response; raises what :func:`send` does."""
        url = self.url(name, query)
        return send(method, url, self.signed(method, url, body), body)

    def signed(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str] = NOTHING
    ) -> dict[str, str]:
        """Return the headers of a request that is sent now."""
        time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        return sign(method, url, headers, body, self.key, self.region, time)
