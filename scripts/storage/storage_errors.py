"""Why a bucket cannot be used, as one line that names the setting and how to fix it."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from scripts.shared.response import Response
from scripts.shared.s3 import Bucket, speaks_other_scheme

NETWORK_SECONDS = 10
"""How long to retry what may pass by itself: DNS and network policies follow a new pod with a
delay, and a busy server responds with 503."""

NEW_SECONDS = 300
"""How long a key or a Space that was just created may be unknown to some of Spaces' servers:
https://github.com/digitalocean/terraform-provider-digitalocean/issues/1153"""


class UnusableStorageError(Exception):
    """The bucket cannot be used; for so many seconds of the check it is tried again."""

    def __init__(self, message: str, retry_seconds: float = 0) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds


@dataclass(frozen=True)
class Diagnosis:
    """What responses, or their absence, say about a bucket.

    Attributes:
        managed: Whether the stack created the bucket and its key, so that both may be brand-new
            and no setting names them.
        section: The section of the settings that names the bucket.
    """

    bucket: Bucket
    managed: bool
    section: str = "storage"

    def no_response(self, reason: Exception) -> UnusableStorageError:
        """Return what kept a request from getting a response."""
        host = urlsplit(self.bucket.url()).hostname or ""
        server = urlsplit(self.bucket.endpoint).hostname or ""
        if isinstance(reason, socket.gaierror):
            if host != server and _resolves(server):
                text = f"the name {host} does not resolve, and without the bucket it does"
                return self._error("pathStyle", text, "true")
            text = f"the name {host} does not resolve in the cluster"
            return self._error("endpoint", text, retry_seconds=NETWORK_SECONDS)
        if isinstance(reason, ssl.SSLCertVerificationError):
            text = f"its certificate is not trusted: {reason.verify_message}"
            return self._error("endpoint", text)
        if isinstance(reason, ConnectionRefusedError):
            text = "nothing listens there, or a firewall refuses the connection"
            return self._error("endpoint", text, retry_seconds=NETWORK_SECONDS)
        # Before Python 3.10 these were two.
        if isinstance(reason, (TimeoutError, socket.timeout)):
            return self._error("endpoint", "no response in time")
        if speaks_other_scheme(self.bucket.endpoint):
            return self._wrong_scheme()
        text = f"no response: {reason or type(reason).__name__}"
        return self._error("endpoint", text, retry_seconds=NETWORK_SECONDS)

    def unlisted(self, problem: str) -> UnusableStorageError:
        """Return why the server's lists cannot be relied on."""
        text = f"its lists cannot be relied on: {problem}"
        if self.managed:
            return UnusableStorageError(f"{self.bucket.url()}: {text}")
        return self._error("endpoint", f"{text}; update the server, or take another")

    def exposure(self, response: Response, name: str) -> UnusableStorageError | None:
        """Return what is wrong if an anonymous client has access, or if that is not known.

        Args:
            response: The response to an anonymous HEAD. A private bucket refuses with 403 at AWS,
                Spaces, MinIO and versitygw, and others may do so with 400 or 401.
            name: The object's key; empty for the bucket itself.
        """
        if response.status // 100 == 2:
            what = "read what is in it" if name else "list it"
            text = f"everybody may {what}; make it private, or take another"
            return self._error("bucket", text)
        if response.status >= 500:
            what = "an object" if name else "the bucket"
            text = f"an anonymous HEAD of {what} gets {response.status}"
            return self._error("endpoint", text, retry_seconds=NETWORK_SECONDS)
        return None

    def refusal(self, response: Response, action: str) -> UnusableStorageError | None:
        """Return what made the server refuse a request; None if it did not.

        https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        """
        if response.status // 100 == 2:
            return None
        code, message = response.element("Code"), response.element("Message")
        retry_seconds = NEW_SECONDS if self.managed and response.status in {403, 404} else 0
        region = response.element("Region") or response.headers.get("x-amz-bucket-region", "...")
        redirected = response.headers.get("location", "").startswith("https:")
        if self.bucket.endpoint.startswith("http:") and redirected:
            return self._wrong_scheme()
        if not code and speaks_other_scheme(self.bucket.endpoint):
            return self._wrong_scheme()
        if code == "NoSuchKey" and action == "s3:ListBucket":
            return self._error("endpoint", "its host name has a bucket in it already")
        if code == "PermanentRedirect":
            host = response.element("Endpoint").removeprefix(f"{self.bucket.name}.")
            text = f"the bucket is in another region, {region}"
            return self._error("endpoint", text, f"https://{host}")
        if code == "RequestTimeTooSkewed":
            return UnusableStorageError(
                f"{_skew(response)}; fix: set the clocks of the cluster's nodes"
            )
        setting, text = {
            "InvalidAccessKeyId": ("accessKey", "the storage does not know this key"),
            "SignatureDoesNotMatch": ("secretKey", "this is not the secret of the access key"),
            "NoSuchBucket": ("bucket", "there is no such bucket"),
            "AuthorizationHeaderMalformed": ("region", f"the bucket is in another one, {region}"),
            "AccessDenied": ("accessKey", f"this key may not {action}; allow it or take another"),
        }.get(code, ("endpoint", f"{action} gets {response.status} {code}: {message}"))
        if response.status >= 500:
            retry_seconds = NETWORK_SECONDS
        return self._error(setting, text, region if setting == "region" else "...", retry_seconds)

    def _error(
        self, setting: str, reason: str, value: str = "...", retry_seconds: float = 0
    ) -> UnusableStorageError:
        """Return the error that names the setting to change, and the command that changes it."""
        if self.managed:
            reach = "let the cluster's pods reach it"
            fix = reach if setting == "endpoint" else "pulumi up --refresh (docs/operations.md)"
            return UnusableStorageError(f"{self.bucket.url()}: {reason}; fix: {fix}", retry_seconds)
        values = {
            "endpoint": self.bucket.endpoint,
            "region": self.bucket.region,
            "bucket": self.bucket.name,
        }
        key = f"{self.section}.{setting}"
        current = f"{key} = {values[setting]}" if setting in values else key
        args = f"--path --secret {key}" if setting == "secretKey" else f"--path {key} {value}"
        return UnusableStorageError(
            f"{current}: {reason}; fix: pulumi config set {args}", retry_seconds
        )

    def _wrong_scheme(self) -> UnusableStorageError:
        scheme, _, rest = self.bucket.endpoint.partition("://")
        other = "http" if scheme == "https" else "https"
        return self._error("endpoint", f"it speaks {other}, not {scheme}", f"{other}://{rest}")


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror:
        return False
    return True


def _skew(response: Response) -> str:
    seconds = round(time.time() - parsedate_to_datetime(response.headers["date"]).timestamp())
    return f"the node's clock is {seconds:+} s off the storage's"
