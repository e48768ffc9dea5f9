"""Check that a bucket can hold images; if it cannot, name what is wrong and how to fix it.

It runs in a Job of `pulumi up`, inside the cluster, before the registry starts. It uses the bucket
as the registry and its maintenance will: it lists it, page by page, writes, reads and deletes
objects, and uploads in parts.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from scripts.shared.listing import Entry, ListingError, parse_page
from scripts.shared.response import Response
from scripts.shared.s3 import NOTHING, Bucket, read_key, send
from scripts.storage.storage_errors import NEW_SECONDS, Diagnosis, UnusableStorageError

TOTAL_SECONDS = 50
"""How long the whole check may take: connecting tries each address of a name, and AWS' have many.
"""

REPOSITORIES = "docker/registry/v2/repositories/"
"""https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/paths.go"""


class Storage:
    """A bucket that is to hold images; one that the stack created may be brand-new."""

    def __init__(self, bucket: Bucket, managed: bool, section: str = "storage") -> None:
        self.bucket, self._diagnosis = bucket, Diagnosis(bucket, managed, section)
        self._started = time.monotonic()

    def request(
        self,
        action: str,
        method: str,
        name: str = "",
        query: Mapping[str, str] = NOTHING,
        body: bytes = b"",
    ) -> Response:
        """Send one signed request, and return its response.

        Raises:
            UnusableStorageError: If there was no response, or an error.
        """
        return self._retry(
            lambda: self.bucket.request(method, name, query, body),
            lambda response: self._diagnosis.refusal(response, action),
        )

    @contextmanager
    def removing(
        self, action: str, name: str, query: Mapping[str, str] = NOTHING
    ) -> Iterator[None]:
        """Delete an object or an upload afterwards, and report what failed first."""
        try:
            yield
        except Exception:
            with suppress(UnusableStorageError):
                self.request(action, "DELETE", name, query)
            raise
        self.request(action, "DELETE", name, query)

    def require_listed(
        self, prefix: str, query: Mapping[str, str], after: str
    ) -> tuple[list[Entry], str]:
        """Return a page of a list, and the token for the next one.

        Raises:
            UnusableStorageError: If it does not prove that it is one.
        """
        asked = {"list-type": "2", **({"prefix": prefix} if prefix else {}), **query}
        body = self.request("s3:ListBucket", "GET", query=asked).body
        try:
            return parse_page(body, self.bucket.name, prefix, after)
        except ListingError as error:
            raise self.unlisted(str(error)) from error

    def unlisted(self, problem: str) -> UnusableStorageError:
        """Return the error of a server whose lists cannot be relied on."""
        return self._diagnosis.unlisted(problem)

    def require_private(self, name: str = "") -> None:
        """Fail if an anonymous client may read an object, or list the bucket.

        Raises:
            UnusableStorageError: If one may, or if the server does not say.
        """
        self._retry(
            lambda: send("HEAD", self.bucket.url(name)),
            lambda response: self._diagnosis.exposure(response, name),
        )

    def _retry(
        self,
        attempt: Callable[[], Response],
        check: Callable[[Response], UnusableStorageError | None],
    ) -> Response:
        shown = ""
        while True:
            try:
                response = attempt()
                error = check(response)
            except (OSError, http.client.HTTPException) as reason:
                error = self._diagnosis.no_response(reason)
            if error is None:
                return response
            if time.monotonic() - self._started >= error.retry_seconds:
                raise error
            problem = str(error).partition("; fix:")[0]
            if shown != problem:
                shown = problem
                print(f"waiting for up to {error.retry_seconds:.0f} s: {problem}", flush=True)
            time.sleep(1)


def check(storage: Storage, folder: str, hidden: Sequence[str] = ()) -> Iterator[str]:
    """Use a bucket as the registry does, and yield what worked.

    Args:
        storage: The bucket.
        folder: The folder of the images.
        hidden: The starts of names that no repository may have: caches would hide it.

    Raises:
        UnusableStorageError: On the first thing that did not work.
    """
    storage.require_listed("", {"max-keys": "1"}, "")
    yield "listed the bucket"
    storage.require_private()
    yield "an anonymous client may not"
    name = "/".join(filter(None, [folder, f"storage-check-{os.urandom(4).hex()}"]))
    content = os.urandom(100)
    storage.request("s3:PutObject", "PUT", name, body=content)
    with storage.removing("s3:DeleteObject", name):
        if storage.request("s3:GetObject", "GET", name).body != content:
            raise UnusableStorageError(
                f"{storage.bucket.url(name)}: it reads other bytes than were written"
            )
        # A policy may let everybody read what nobody can list, and names of tags can be guessed.
        storage.require_private(name)
    yield "wrote, read and deleted an object, which an anonymous client may not read"
    _check_pages(storage, f"{name}/")
    yield "listed objects in order, page by page"
    for start in hidden:
        prefix = "/".join(filter(None, [folder, f"{REPOSITORIES}{start}/"]))
        entries, _ = storage.require_listed(prefix, {"max-keys": "1"}, "")
        if entries:
            raise UnusableStorageError(
                f"there are images in {start}/, which a cache of that name would hide; fix: "
                "another name for the cache"
            )
        yield f"found no images in {start}/"
    started = storage.request("s3:PutObject", "POST", name, {"uploads": ""})
    upload = {"uploadId": started.element("UploadId")}
    with storage.removing("s3:AbortMultipartUpload", name, upload):
        # The registry finds its uploads so: https://github.com/distribution/distribution/issues/2847
        query = {"uploads": "", "prefix": name}
        uploads = storage.request("s3:ListBucketMultipartUploads", "GET", query=query)
        storage.request("s3:ListMultipartUploadParts", "GET", name, upload)
        if uploads.element("UploadId") != upload["uploadId"]:
            raise UnusableStorageError(f"{storage.bucket.url()}: it does not list a started upload")
    yield "started, listed and aborted an upload in parts"


def _check_pages(storage: Storage, prefix: str) -> None:
    """Fail unless a list of several pages shows each object once, in the order of their keys.

    What a list does not show counts as deleted in the end: docs/maintenance.md.
    """
    # In a file system a folder comes before the names that its own begins.
    names = [f"{prefix}{name}" for name in ("a-b", "a.b", "a/b")]
    with ExitStack() as written:
        for name in names:
            storage.request("s3:PutObject", "PUT", name)
            written.enter_context(storage.removing("s3:DeleteObject", name))
        query, listed = {"max-keys": "1"}, [""]
        # One more than there should be.
        for _ in range(len(names) + 1):
            entries, token = storage.require_listed(prefix, query, listed[-1])
            listed += [entry.key for entry in entries]
            query["continuation-token"] = token
            if not token:
                break
        if listed[1:] != names or token:
            raise storage.unlisted(f"of {len(names)} objects, one by one, they show {listed[1:]}")


def _time_out(*_: object) -> NoReturn:
    raise TimeoutError


def main() -> int:
    """Run the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Check that a bucket can hold images: list, write, read, delete.",
        epilog="Exits with 0 if all of it worked, with 1 on the first thing that did not.",
    )
    parser.add_argument("endpoint", help="the S3 server's URL, without the bucket")
    parser.add_argument("--region", required=True, help="the region that requests are signed for")
    parser.add_argument("--bucket", required=True, help="the bucket's name")
    parser.add_argument("--folder", default="", help="the folder in the bucket; default: its top")
    parser.add_argument("--hidden", action="append", default=[], help="what no repository is in")
    parser.add_argument("--virtual-host", action="store_true", help="name the bucket in the host")
    parser.add_argument("--managed", action="store_true", help="bucket and key may be brand-new")
    parser.add_argument("--section", default="storage", help="the settings that name the bucket")
    parser.add_argument("--key-file", required=True, type=Path, help="a shared credentials file")
    args = parser.parse_args()
    bucket = Bucket(
        endpoint=args.endpoint,
        region=args.region,
        name=args.bucket,
        path_style=not args.virtual_host,
        key=read_key(args.key_file),
    )
    storage = Storage(bucket, args.managed, args.section)
    signal.signal(signal.SIGALRM, _time_out)
    signal.setitimer(signal.ITIMER_REAL, TOTAL_SECONDS + (NEW_SECONDS if args.managed else 0))
    try:
        for result in check(storage, args.folder, args.hidden):
            print(f"ok: {result}", flush=True)
    except (UnusableStorageError, OSError) as error:
        print(f"FAILED: {error}", flush=True)
        return 1
    print(f"the storage works: {bucket.url()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
