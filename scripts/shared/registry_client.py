"""A client of a registry, with one error for all that can go wrong."""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import queue
import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import IO, Any

from scripts.shared.response import EXCERPT, Response

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    MANIFEST,
    "application/vnd.oci.image.index.v1+json",
)
"""The media types of manifests and indexes. Of a type that a client does not name, the registry
says that there is none, or chooses a platform:
https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/manifests.go"""

OCTETS = MappingProxyType({"Content-Type": "application/octet-stream"})

REQUEST_SECONDS = 30
"""How long one response may take, all of it."""

MAX_BYTES = 4 * 2**20
"""The largest manifest that the registry takes, and more than it sends of anything else that is
read whole: https://github.com/distribution/distribution/blob/v3.1.2/registry/handlers/manifests.go"""

PAGE_SIZE = 1000
"""Names in a page of a list; the registry's own limit of repositories:
https://distribution.github.io/distribution/about/configuration/#catalog"""


class RegistryError(Exception):
    """The registry did not work; says which request failed, and its response.

    Its cause, if it has one, is the error that came instead of a response.
    """


def send(
    request: urllib.request.Request,
    tls: ssl.SSLContext | None = None,
    seconds: float = REQUEST_SECONDS,
) -> Response:
    """Return the response to one request, whatever its status, which may take so many seconds.

    Raises:
        RegistryError: There is none, or it is no response of HTTP, too large or too slow.
    """
    results: queue.SimpleQueue[Response | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            results.put(_response(request, tls, seconds))
        except (OSError, http.client.HTTPException, ValueError) as error:
            results.put(error)

    # The timeout of a socket is for each packet, and name resolution has none. A thread that hangs
    # is left behind: only this kind does not keep the program from ending.
    threading.Thread(target=work, daemon=True).start()
    result: Response | Exception
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        result = TimeoutError("timed out")
    if isinstance(result, Response):
        return result
    # What a server sent instead of a response has no sense without its kind.
    text = repr(result) if isinstance(result, http.client.HTTPException) else str(result)
    raise RegistryError(text[:EXCERPT]) from result


def _response(
    request: urllib.request.Request, tls: ssl.SSLContext | None, seconds: float
) -> Response:
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), _Redirects)
    stream: Any
    try:
        stream = opener.open(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        stream = error
    except urllib.error.URLError as error:
        raise (error.reason if isinstance(error.reason, OSError) else error) from None
    with stream:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise ValueError(f"the response is larger than {MAX_BYTES} bytes")
        # Python does not tell where it was asked for a number of bytes.
        if stream.length:
            raise http.client.IncompleteRead(body, stream.length)
        return Response(stream.getcode(), stream.headers, body)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects of blobs, to storage: a registry redirects nothing else."""

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:  # noqa: ANN401 - as in its base
        if "/blobs/" in req.full_url:
            return super().http_error_302(req, fp, code, msg, headers)
        return None

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


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

        Raises:
            RegistryError: On another status, or without a response.
        """
        try:
            url = urllib.parse.urljoin(self.url + "/", path)
            request = urllib.request.Request(url, body, method=method)  # noqa: S310 - http or https
            request.add_header("Accept", ", ".join([*MANIFESTS, "*/*"]))
            for name, value in headers.items():
                request.add_header(name, value)
            if self.authorization:
                # Not sent to where a redirect leads: S3 servers refuse two ways to authenticate.
                request.add_unredirected_header("Authorization", self.authorization)
            response = send(request, self.tls)
        except (RegistryError, ValueError) as error:
            raise RegistryError(f"{method} {self.url}/{path}: {error}") from error.__cause__
        if response.status not in expected:
            statuses = " or ".join(map(str, expected))
            raise RegistryError(
                f"{method} {url}: expected {statuses}, got {response.status} {response.excerpt()}"
            )
        return response

    def read_byte(self, path: str) -> None:
        """Read a byte of a blob: a HEAD request is answered from the registry's memory."""
        # 416 of an S3 server says that the blob is there, and empty.
        self.call("GET", path, [200, 206, 416], headers={"Range": "bytes=0-0"})

    def names(self, path: str, key: str, *, empty: int = 200) -> Iterator[str]:
        """Yield all names of a list that comes in pages.

        https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags

        Args:
            key: The key of the names in each page.
            empty: The status that says that there are none.

        Raises:
            RegistryError: The list cannot be read.
        """
        page, read = f"{path}?n={PAGE_SIZE}", set[str]()
        while page not in read:
            read.add(page)
            response = self.call("GET", page, {200, empty})
            if response.status != 200:
                return
            try:
                names = json.loads(response.body)[key] or []
            except (ValueError, LookupError, TypeError, RecursionError):
                names = None
            if not isinstance(names, list):
                raise RegistryError(f"GET {page}: expected {key}, got {response.excerpt()}")
            yield from map(str, names)
            link = re.match(r"<([^>]+)>", response.headers.get("link", ""))
            if not link:
                return
            page = link[1]
        raise RegistryError(f"GET {page}: the list leads back to this page of it")


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
