"""Check that a store can keep images; if it cannot, name what is wrong, and what mends it.

It runs in a Job of `pulumi up`, inside the cluster, before the registry starts. It does to the
bucket what the registry will: list it, write, read and delete an object, and upload in parts.

Plain Python 3.9 with nothing installed, beside s3.py.
"""

from __future__ import annotations

import argparse
import http.client
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from scripts.s3 import (
    NOTHING,
    Answer,
    Bucket,
    read_key,
    send,
    speaks_other_scheme,
)

NETWORK_SECONDS = 10
"""How long to try again what may heal by itself: DNS and network policies follow a new pod with a
delay, and a busy server answers 503."""

TOTAL_SECONDS = 50
"""How long all of it may take: connecting tries each address of a name, and AWS' have many."""

NEW_KEY_SECONDS = 40
"""How long a store may not yet know, everywhere, a key and a bucket that were just made."""


class StorageError(Exception):
    """The store cannot be used; says why, and what mends it.

    Args:
        message: One line.
        patience: Seconds, from the start, for which to try again.
    """

    def __init__(self, message: str, patience: float = 0) -> None:
        super().__init__(message)
        self.patience = patience


@dataclass(frozen=True)
class Store:
    """A bucket that is to keep images, and what to say of it.

    Attributes:
        bucket: The bucket.
        managed: Whether the stack made the bucket and its key, so that both may be brand-new, and
            no setting names them.
        started: When the check began, by the clock that only goes forward.
    """

    bucket: Bucket
    managed: bool
    started: float = field(default_factory=time.monotonic)

    def call(
        self,
        action: str,
        method: str,
        name: str = "",
        query: Mapping[str, str] = NOTHING,
        body: bytes = b"",
    ) -> Answer:
        """Send one signed request, again if what is wrong may heal by itself.

        Args:
            action: What the key must be allowed for it, such as s3:GetObject.
            method: The HTTP method.
            name: The object's key; empty for the bucket itself.
            query: Names and values.
            body: What to send.

        Raises:
            StorageError: If there was no answer, or one that refuses.
        """
        while True:
            try:
                answer = self.bucket.call(method, name, query, body)
                error = self._refusal(answer, action)
            except (OSError, http.client.HTTPException) as reason:
                error = self._silence(reason)
            if error is None:
                return answer
            if time.monotonic() - self.started >= error.patience:
                raise error
            time.sleep(1)

    def refuse_strangers(self) -> None:
        """See that the bucket is private, by the request that the registry watches the store with.

        Raises:
            StorageError: If it is not.
        """
        status = send("HEAD", self.bucket.url()).status
        if status == 200:
            raise self._wrong("bucket", "everybody may list it; make it private, or take another")
        if status != 403:
            said = f"a stranger's HEAD of the bucket gets {status}, where the registry needs 403"
            raise self._wrong("endpoint", said)

    def _wrong(
        self, setting: str, said: str, right: str = "...", patience: float = 0
    ) -> StorageError:
        """Say which setting is wrong, and how to mend it."""
        if self.managed:
            reach = "let the cluster's pods reach it"
            fix = reach if setting == "endpoint" else "pulumi up --refresh (docs/operations.md)"
            return StorageError(f"{self.bucket.url()}: {said}; fix: {fix}", patience)
        values = {
            "endpoint": self.bucket.endpoint,
            "region": self.bucket.region,
            "bucket": self.bucket.name,
        }
        key = f"storage.{setting}"
        shown = f"{key} = {values[setting]}" if setting in values else key
        command = f"--path --secret {key}" if setting == "secretKey" else f"--path {key} {right}"
        return StorageError(f"{shown}: {said}; fix: pulumi config set {command}", patience)

    def _silence(self, reason: Exception) -> StorageError:
        """Name what kept a request from being answered."""
        host = urlsplit(self.bucket.url()).hostname or ""
        plain = urlsplit(self.bucket.endpoint).hostname or ""
        if isinstance(reason, socket.gaierror):
            if host != plain and _resolves(plain):
                said = f"the name {host} does not resolve, and without the bucket it does"
                return self._wrong("pathStyle", said, "true")
            said = f"the name {host} does not resolve in the cluster"
            return self._wrong("endpoint", said, patience=NETWORK_SECONDS)
        if isinstance(reason, ssl.SSLCertVerificationError):
            said = f"its certificate is not trusted: {reason.verify_message}"
            return self._wrong("endpoint", said)
        if isinstance(reason, ConnectionRefusedError):
            said = "nothing listens there, or a firewall refuses the connection"
            return self._wrong("endpoint", said, patience=NETWORK_SECONDS)
        # Before Python 3.10 these were two.
        if isinstance(reason, (TimeoutError, socket.timeout)):
            return self._wrong("endpoint", "no answer in time")
        if speaks_other_scheme(self.bucket.endpoint):
            return self._wrong_scheme()
        said = f"no answer: {reason or type(reason).__name__}"
        return self._wrong("endpoint", said, patience=NETWORK_SECONDS)

    def _refusal(self, answer: Answer, action: str) -> StorageError | None:
        """Name what made the store refuse a request; None if it did not.

        https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        """
        if answer.status // 100 == 2:
            return None
        code, told = answer.element("Code"), answer.element("Message")
        patience = NEW_KEY_SECONDS if self.managed and answer.status in {403, 404} else 0
        region = answer.element("Region") or answer.headers.get("x-amz-bucket-region", "...")
        moved = answer.headers.get("location", "").startswith("https:")
        if self.bucket.endpoint.startswith("http:") and moved:
            return self._wrong_scheme()
        if not code and speaks_other_scheme(self.bucket.endpoint):
            return self._wrong_scheme()
        if code == "NoSuchKey" and action == "s3:ListBucket":
            return self._wrong("endpoint", "its host name has a bucket in it already")
        if code == "PermanentRedirect":
            right = f"https://{answer.element('Endpoint').removeprefix(f'{self.bucket.name}.')}"
            return self._wrong("endpoint", f"the bucket is in another region, {region}", right)
        if code == "RequestTimeTooSkewed":
            return StorageError(f"{_skew(answer)}; fix: set the clocks of the cluster's nodes")
        setting, said = {
            "InvalidAccessKeyId": ("accessKey", "the store does not know this key"),
            "SignatureDoesNotMatch": ("secretKey", "this is not the secret of the access key"),
            "NoSuchBucket": ("bucket", "there is no such bucket"),
            "AuthorizationHeaderMalformed": ("region", f"the bucket is in another one, {region}"),
            "AccessDenied": ("accessKey", f"this key may not {action}; allow it or take another"),
        }.get(code, ("endpoint", f"{action} gets {answer.status} {code}: {told}"))
        if answer.status >= 500:
            patience = NETWORK_SECONDS
        return self._wrong(setting, said, region if setting == "region" else "...", patience)

    def _wrong_scheme(self) -> StorageError:
        scheme, _, rest = self.bucket.endpoint.partition("://")
        right = "http" if scheme == "https" else "https"
        said = f"it speaks {right}, not {scheme}"
        return self._wrong("endpoint", said, f"{right}://{rest}")


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return False
    return True


def _skew(answer: Answer) -> str:
    seconds = round(time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp())
    return f"the node's clock is {seconds:+} s off the store's"


def check(store: Store, folder: str) -> Iterator[str]:
    """Use a bucket as the registry does, and tell each thing that was seen to work.

    Args:
        store: The bucket.
        folder: The folder in it that images are kept in; empty for its top.

    Raises:
        StorageError: On the first thing that did not work.
        OSError: If an answer that came once did not come again.
    """
    store.call("s3:ListBucket", "GET", query={"list-type": "2", "max-keys": "1"})
    yield "listed the bucket"
    store.refuse_strangers()
    yield "refused a stranger"
    name = "/".join(filter(None, [folder, f"storage-check-{os.urandom(4).hex()}"]))
    content = os.urandom(100)
    store.call("s3:PutObject", "PUT", name, body=content)
    try:
        read = store.call("s3:GetObject", "GET", name).body
    finally:
        store.call("s3:DeleteObject", "DELETE", name)
    if read != content:
        raise StorageError(f"{store.bucket.url(name)}: what was read is not what was written")
    yield "wrote, read and deleted an object"
    started = store.call("s3:PutObject", "POST", name, {"uploads": ""})
    upload = {"uploadId": started.element("UploadId")}
    try:
        # The registry finds its uploads so: https://github.com/distribution/distribution/issues/2847
        begun = {"uploads": "", "prefix": name}
        listed = store.call("s3:ListBucketMultipartUploads", "GET", query=begun)
        store.call("s3:ListMultipartUploadParts", "GET", name, upload)
    finally:
        store.call("s3:AbortMultipartUpload", "DELETE", name, upload)
    if listed.element("UploadId") != upload["uploadId"]:
        raise StorageError(
            f"{store.bucket.url()}: the store does not list an upload that was begun"
        )
    yield "began, listed and aborted an upload in parts"


def _out_of_time(*_: object) -> NoReturn:
    raise TimeoutError


def main() -> int:
    """Run from the command line, and answer the exit status."""
    parser = argparse.ArgumentParser(
        description="Check that a store can keep images: list, write, read, delete.",
        epilog="Exits with 0 if all of it worked, with 1 on the first thing that did not.",
    )
    parser.add_argument("endpoint", help="the S3 server's URL, without the bucket")
    parser.add_argument("--region", required=True, help="what requests are signed for")
    parser.add_argument("--bucket", required=True, help="its name")
    parser.add_argument("--folder", default="", help="where in the bucket; default: at its top")
    parser.add_argument("--virtual-host", action="store_true", help="name the bucket in the host")
    parser.add_argument("--managed", action="store_true", help="bucket and key were made just now")
    parser.add_argument("--key-file", required=True, type=Path, help="a shared credentials file")
    given = parser.parse_args()
    bucket = Bucket(
        endpoint=given.endpoint,
        region=given.region,
        name=given.bucket,
        path_style=not given.virtual_host,
        key=read_key(given.key_file),
    )
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, TOTAL_SECONDS)
    try:
        for seen in check(Store(bucket, given.managed), given.folder):
            print(f"ok: {seen}", flush=True)
    except (StorageError, OSError) as error:
        print(f"FAILED: {error}", flush=True)
        return 1
    print(f"the store works: {bucket.url()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
