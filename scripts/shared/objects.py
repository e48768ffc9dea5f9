"""The objects of a bucket: list, read, write, copy and delete them, many at a time.

It keeps its connections, tries again what a busy server refuses, and has the time of the server's
clock.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import quote

from scripts.shared.listing import Entry, ListingError, parse_page
from scripts.shared.response import Response
from scripts.shared.s3 import NOTHING, Bucket, connect, exchange

REQUEST_SECONDS = 60
"""How long the storage may be silent."""

RETRY_SECONDS = (0.5, 2, 8)
"""The pauses before a request is tried again. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
asks for this after an error 503."""

PART_BYTES = 512 * 2**20
"""The largest object that is copied by one request, so that it takes less than a minute; the limit
of S3 is 5 GiB: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html"""

BATCH = 2000
"""How many items are handed to the threads at a time."""

Item = TypeVar("Item")
Result = TypeVar("Result")
Read = Callable[[http.client.HTTPResponse], bytes]


class StorageError(Exception):
    """The storage did not do what it was asked for."""


class Objects:
    """The objects of a bucket, used by many threads.

    Args:
        folder: The folder in it that all keys are relative to; empty for its top.
        threads: How many requests may be under way.

    Attributes:
        place: The URL of the folder.
        now: The time of the last response, by the server's clock, in seconds since 1970.
    """

    def __init__(self, bucket: Bucket, folder: str = "", threads: int = 16) -> None:
        self._bucket, self._prefix = bucket, f"{folder}/" if folder else ""
        self._pool = ThreadPoolExecutor(threads)
        self._local = threading.local()
        self._connections: list[http.client.HTTPConnection] = []
        self.place = bucket.url(folder)
        self.now = 0.0

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        for connection in self._connections:
            connection.close()

    def each(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return the function's results for all items; it runs in many threads."""
        results: list[Result] = []
        left = iter(items)
        # What is under way takes a kilobyte each, and there may be a million.
        while batch := list(itertools.islice(left, BATCH)):
            results += self._pool.map(function, batch)
        return results

    def list(self, prefix: str) -> Iterator[Entry]:
        """Yield all objects whose keys start so, in order, in pages of 1,000.

        Raises:
            StorageError: A response does not prove that it is the next page.
        """
        whole = self._prefix + prefix
        query, after = {"list-type": "2", "prefix": whole}, ""
        tokens: set[str] = set()
        while True:
            body = self._call("GET", None, query=query).body
            try:
                entries, token = parse_page(body, self._bucket.name, whole, after)
            except ListingError as error:
                raise StorageError(f"the list of {self.place}/{prefix}: {error}") from error
            if token in tokens:
                raise StorageError(f"the list of {self.place}/{prefix}: a page comes twice")
            for entry in entries:
                yield entry._replace(key=entry.key[len(self._prefix) :])
                after = entry.key
            if not token:
                return
            tokens.add(token)
            query["continuation-token"] = token

    def get(self, key: str) -> bytes | None:
        """Return an object's content; None if there is no such object."""
        response = self._call("GET", key, accepted=(200, 404))
        return response.body if response.status == 200 else None

    def get_part(self, key: str, start: int, size: int) -> bytes:
        """Return some bytes of an object, but not all of them."""
        headers = {"range": f"bytes={start}-{start + size - 1}"}
        return self._call("GET", key, headers=headers, accepted=(206,)).body

    def sha256(self, key: str) -> str | None:
        """Return the hash of an object's content, which may be large; None if there is none."""
        response = self._call("GET", key, accepted=(200, 404), read=_hash)
        return response.body.decode() if response.status == 200 else None

    def head(self, key: str) -> Entry | None:
        """Return what a listing says of an object, in whole seconds; None if there is none."""
        response = self._call("HEAD", key, accepted=(200, 404))
        if response.status == 404:
            return None
        headers = {name.lower(): value for name, value in response.headers.items()}
        try:
            size, modified = int(headers["content-length"]), _seconds(headers["last-modified"])
            return Entry(key, size, modified, headers["etag"].strip('"'))
        except (KeyError, ValueError) as error:
            raise StorageError(f"HEAD {key}: a header is missing, or odd: {error}") from error

    def put(self, key: str, content: bytes) -> str:
        """Write an object, and return its ETag."""
        return self._call("PUT", key, body=content).headers.get("etag", "").strip('"')

    def put_parts(self, key: str, parts: Iterable[bytes]) -> None:
        """Write an object from parts, each but the last of 5 MiB or more; all of it or nothing."""
        self._in_parts(key, ({"body": part} for part in parts))

    def delete(self, key: str) -> None:
        """Delete an object, if it is there."""
        self._call("DELETE", key, accepted=(200, 204, 404))

    def copy(self, source: str, target: str, size: int) -> None:
        """Copy an object within the bucket."""
        headers = {"x-amz-copy-source": quote(f"/{self._bucket.name}/{self._prefix}{source}")}
        if size <= PART_BYTES:
            self._finish("PUT", target, headers=headers)
            return
        ranges = (
            f"bytes={start}-{min(start + PART_BYTES, size) - 1}"
            for start in range(0, size, PART_BYTES)
        )
        self._in_parts(
            target, ({"headers": {**headers, "x-amz-copy-source-range": x}} for x in ranges)
        )

    def _in_parts(self, key: str, requests: Iterable[Mapping[str, object]]) -> None:
        """Write an object in parts, each by a request, and nothing if one of them fails."""
        upload = {"uploadId": _element(self._call("POST", key, query={"uploads": ""}), "UploadId")}
        parts = []
        try:
            for number, request in enumerate(requests, 1):
                query = {**upload, "partNumber": str(number)}
                part = self._finish("PUT", key, query=query, **request)
                # Of a copy it is in the body.
                etag = _element(part, "ETag") if part.body else part.headers["etag"]
                parts.append(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        except BaseException:
            self._call("DELETE", key, query=upload, accepted=(200, 204, 404))
            raise
        body = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
        self._finish("POST", key, query=upload, body=body)

    def _finish(self, method: str, key: str, **request: object) -> Response:
        """Send a request that may fail although its status is 200."""
        response = self._call(method, key, **request)  # type: ignore[arg-type] # passed through
        if re.search(rb"<Error[\s>]", response.body):
            raise StorageError(f"{method} {key}: {response.excerpt()}")
        return response

    def _call(
        self,
        method: str,
        key: str | None,
        *,
        query: Mapping[str, str] = NOTHING,
        headers: Mapping[str, str] = NOTHING,
        body: bytes = b"",
        accepted: tuple[int, ...] = (200, 204),
        read: Read = http.client.HTTPResponse.read,
    ) -> Response:
        """Send one signed request, again while the server is busy or the connection breaks.

        Without a key it is for the bucket itself.

        Raises:
            StorageError: On another status, or if there was no response.
        """
        url = self._bucket.url("" if key is None else self._prefix + key, query)
        for pause in (*RETRY_SECONDS, None):
            try:
                response = self._send(method, url, headers, body, read)
                if response.status in accepted and not _says_nothing(method, response):
                    return response
                message = f"{method} {url}: {response.status} {response.excerpt()}"
                if response.status < 500 and response.status != 429:
                    break
            except (OSError, http.client.HTTPException) as error:
                self._local.connection.close()
                message = f"{method} {url}: {error or type(error).__name__}"
            if pause is not None:
                time.sleep(pause)
        raise StorageError(message)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, read: Read
    ) -> Response:
        if not hasattr(self._local, "connection"):
            self._local.connection = connect(url, REQUEST_SECONDS)
            self._connections.append(self._local.connection)
        signed = self._bucket.signed(method, url, body, headers)
        response = exchange(self._local.connection, method, url, signed, body, read)
        if "date" in response.headers:
            self.now = _seconds(response.headers["date"])
        return response


def _says_nothing(method: str, response: Response) -> bool:
    """Return whether a status 404 is not the storage's word that there is no such object.

    A proxy before it may send one, too. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    said = b"<Code>NoSuchKey</Code>" in response.body
    return method == "GET" and response.status == 404 and not said


def _element(response: Response, name: str) -> str:
    if not (text := response.element(name)):
        raise StorageError(f"expected an element {name} from the storage: {response.excerpt()}")
    return text


def _hash(stream: http.client.HTTPResponse) -> bytes:
    """Return the hash of a response's content, or all of another response."""
    if stream.status != 200:
        return stream.read()
    hashed = hashlib.sha256()
    while chunk := stream.read(2**20):
        hashed.update(chunk)
    if stream.length:
        # Read in pieces, a body that was cut short raises nothing.
        raise http.client.IncompleteRead(b"", stream.length)
    return hashed.hexdigest().encode()


def _seconds(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    # Before Python 3.10 it was the first of them.
    except (TypeError, ValueError) as error:
        raise StorageError(f"the storage sends a time that is none: {date!r}") from error
