"""The objects of a bucket: list, read and write them, many at a time.

It keeps its connections, and tries again what a busy server refuses. Plain Python 3.9 with nothing
installed.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree

from scripts.s3 import NOTHING, Bucket, Key

REQUEST_SECONDS = 60
"""How long the storage may be silent."""

RETRY_SECONDS = (0.5, 2, 8)
"""The pauses before a request is tried again. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
asks for this after an error 503."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class StorageError(Exception):
    """The storage did not do what it was asked for."""


class Entry(NamedTuple):
    """One line of a listing.

    Attributes:
        key: The object's key.
        size: Its size in bytes.
        etag: For an object that was written by one request the MD5 of its content; else anything.
    """

    key: str
    size: int
    etag: str


class Response(NamedTuple):
    """The response to one request.

    Attributes:
        status: The HTTP status.
        body: All of it; empty where it was hashed instead.
        sha256: The body's hash, in hexadecimal.
    """

    status: int
    body: bytes
    sha256: str


class Objects:
    """The objects of a bucket, used by many threads.

    Args:
        bucket: The bucket.
        folder: The folder in it that all keys are relative to; empty for its top.
        threads: How many requests may be under way.
    """

    def __init__(self, bucket: Bucket, folder: str = "", threads: int = 16) -> None:
        self._bucket, self._prefix = bucket, f"{folder}/" if folder else ""
        self._pool = ThreadPoolExecutor(threads)
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return the function's results for all items; it runs in many threads."""
        return list(self._pool.map(function, items))

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield all objects whose keys start so, in pages of 1,000.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
        """
        query = {"list-type": "2", "prefix": self._prefix + prefix}
        while True:
            page = ElementTree.fromstring(self._call("GET", None, query=query).body)  # noqa: S314
            token = ""
            for element in page:
                name = _name(element)
                if name == "Contents":
                    fields = {_name(child): child.text or "" for child in element}
                    key = fields["Key"][len(self._prefix) :]
                    yield Entry(key, int(fields["Size"]), fields["ETag"].strip('"'))
                elif name == "NextContinuationToken":
                    token = element.text or ""
            if not token:
                return
            query["continuation-token"] = token

    def get(self, key: str) -> bytes | None:
        """Return an object's content; None if there is no such object."""
        response = self._call("GET", key, accepted=(200, 404))
        return response.body if response.status == 200 else None

    def sha256(self, key: str) -> str | None:
        """Return the hash of an object's content, which may be large; None if there is none."""
        response = self._call("GET", key, accepted=(200, 404), keep=False)
        return response.sha256 if response.status == 200 else None

    def exists(self, key: str) -> bool:
        """Return whether there is such an object."""
        return self._call("HEAD", key, accepted=(200, 404)).status == 200

    def put(self, key: str, content: bytes) -> None:
        """Write an object."""
        self._call("PUT", key, body=content)

    def _call(
        self,
        method: str,
        key: str | None,
        *,
        query: Mapping[str, str] = NOTHING,
        body: bytes = b"",
        accepted: tuple[int, ...] = (200, 204),
        keep: bool = True,
    ) -> Response:
        """Send one signed request, again while the server is busy or the connection breaks.

        Args:
            method: The HTTP method.
            key: The object's key; None for the bucket itself.
            query: Names and values.
            body: What to send.
            accepted: The accepted statuses.
            keep: Whether to return the body.

        Raises:
            StorageError: On another status, or if there was no response.
        """
        url = self._bucket.url("" if key is None else self._prefix + key, query)
        for pause in (*RETRY_SECONDS, None):
            try:
                response = self._send(method, url, body, keep)
                if response.status in accepted:
                    return response
                excerpt = response.body[:300].decode(errors="replace")
                message = f"{method} {url}: {response.status} {excerpt}"
                if response.status < 500:
                    break
            except (OSError, http.client.HTTPException) as error:
                self._local.connection.close()
                message = f"{method} {url}: {error or type(error).__name__}"
            if pause is not None:
                time.sleep(pause)
        raise StorageError(message)

    def _send(self, method: str, url: str, body: bytes, keep: bool) -> Response:
        parts = urlsplit(url)
        if not hasattr(self._local, "connection"):
            secure = parts.scheme == "https"
            kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
            self._local.connection = kind(parts.hostname or "", parts.port, timeout=REQUEST_SECONDS)
            self._connections.append(self._local.connection)
        connection: http.client.HTTPConnection = self._local.connection
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body, self._bucket.signed(method, url, body))
        stream = connection.getresponse()
        content, hashed = [], hashlib.sha256()
        while chunk := stream.read(2**20):
            hashed.update(chunk)
            if keep or stream.status != 200:
                content.append(chunk)
        if stream.length:
            # Read in pieces, a body that was cut short raises nothing.
            raise http.client.IncompleteRead(b"", stream.length)
        return Response(stream.status, b"".join(content), hashed.hexdigest())


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the storage."""
    parser.add_argument(
        "--storage",
        type=Path,
        metavar="FILE",
        help="the output storage_connection in JSON; by default that of the selected stack",
    )


def objects_of(args: argparse.Namespace) -> Objects:
    """Return the objects of the bucket that the arguments name.

    Raises:
        StorageError: The selected stack has no such output.
    """
    connection = json.loads(args.storage.read_text() if args.storage else _stack_output())
    bucket = Bucket(
        endpoint=connection["endpoint"],
        region=connection["region"],
        name=connection["bucket"],
        path_style=connection["path_style"] == "true",
        key=Key(connection["access_key"], connection["secret_key"]),
    )
    return Objects(bucket, connection["root_directory"])


def _stack_output() -> str:
    command = ["pulumi", "stack", "output", "storage_connection", "--json", "--show-secrets"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StorageError(result.stderr.strip())
    return result.stdout
