"""One Space, over S3's protocol, with the calls of upstream's plugin.

They differ in two ways. The Space's name is in the path instead of the hostname, since the sandbox
has no wildcard DNS. And they are signed for the Space's region instead of us-east-1: Spaces accept
either, but the sandbox's S3 server is as strict as AWS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sandbox.engine.plugins.resource import ProviderError
from sandbox.engine.plugins.wire import Properties

if TYPE_CHECKING:
    from botocore.client import BaseClient

_TIMEOUT = 300
"""Seconds for a new Space to appear; upstream's."""

_ATTEMPTS = 4
"""Attempts of one request while the server is broken or unreachable; upstream retries 3 times."""

_EXPIRATION = {
    "days": "Days",
    "date": "Date",
    "expiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
"""The SDK's properties of an expiration, with their names in S3."""


class RefusalError(ProviderError):
    """The server rejects a call.

    Args:
        message: What was attempted, and why the server rejected it.
        code: S3's error code, such as ``BucketNotEmpty``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def connect(config: Mapping[str, str], region: str) -> BaseClient:
    """Return an S3 client.

    Args:
        config: The provider's configuration.
        region: The Space's region, such as ``nyc3``.

    Raises:
        ProviderError: The configuration has no Spaces credentials.
    """
    # Imported here: it takes 0.15 s, and most operations need no Space.
    import boto3
    from botocore.config import Config

    if not (config.get("spacesAccessId") and config.get("spacesSecretKey")):
        raise ProviderError(
            "no Spaces credentials: set the provider's spacesAccessId and spacesSecretKey"
        )
    return boto3.client(
        "s3",
        endpoint_url=config["spacesEndpoint"].replace("{{.Region}}", region.lower()),
        aws_access_key_id=config["spacesAccessId"],
        aws_secret_access_key=config["spacesSecretKey"],
        region_name=region.lower(),
        config=Config(
            s3={"addressing_style": "path"},
            # A proxy cannot resolve the sandbox's names.
            proxies={},
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            request_checksum_calculation="when_required",
        ),
    )


class Space:
    """A Space that may or may not exist; every call may raise a ProviderError.

    Args:
        client: An S3 client.
        name: The Space's name.
    """

    def __init__(self, client: BaseClient, name: str) -> None:
        self._client = client
        self._name = name

    def create(self, acl: str) -> None:
        """Create the Space, and wait until it exists."""
        deadline = time.monotonic() + _TIMEOUT
        # S3's error while another call creates or deletes a Space of that name.
        busy = "OperationAborted"
        while self._tolerating(busy, "create", self._client.create_bucket, ACL=acl):
            self._pause(deadline)
        while not self.exists():
            self._pause(deadline)

    def exists(self) -> bool:
        """Return whether the Space exists."""
        return not self._tolerating("404", "find", self._client.head_bucket)

    def region(self) -> str:
        """Return the Space's region; empty if the server does not report it."""
        response = self._call("locate", self._client.get_bucket_location)
        return str(response.get("LocationConstraint") or "")

    def versioned(self) -> bool:
        """Return whether old versions of objects are kept."""
        response = self._call("read the versioning of", self._client.get_bucket_versioning)
        return bool(response.get("Status") == "Enabled")

    def lost_lifecycle(self) -> bool:
        """Return whether the lifecycle rules are gone.

        A server that does not implement such rules, such as the sandbox's, has not lost any.
        """
        none = "NoSuchLifecycleConfiguration"
        read = self._client.get_bucket_lifecycle_configuration
        return self._tolerating((none, "NotImplemented"), "read the lifecycle of", read) == none

    def set_acl(self, acl: str) -> None:
        """Set the canned ACL."""
        self._call("set the ACL of", self._client.put_bucket_acl, ACL=acl)

    def set_cors(self, rules: list[Properties] | None) -> None:
        """Set the CORS rules, with the SDK's names; None removes them."""
        if not rules:
            self._call("remove the CORS rules of", self._client.delete_bucket_cors)
            return
        renamed = [
            {key[0].upper() + key[1:]: value for key, value in rule.items()} for rule in rules
        ]
        configuration = {"CORSRules": renamed}
        self._call(
            "set the CORS rules of", self._client.put_bucket_cors, CORSConfiguration=configuration
        )

    def set_versioning(self, *, enabled: bool) -> None:
        """Enable or suspend versioning."""
        status = {"Status": "Enabled" if enabled else "Suspended"}
        put = self._client.put_bucket_versioning
        self._call("set the versioning of", put, VersioningConfiguration=status)

    def set_lifecycle(self, rules: list[Properties] | None) -> None:
        """Set the lifecycle rules, with the SDK's names; None removes them.

        With a server that does not implement such rules, such as the sandbox's, the rules are in
        the state only.
        """
        unknown = "NotImplemented"
        if not rules:
            self._tolerating(
                unknown, "remove the lifecycle of", self._client.delete_bucket_lifecycle
            )
            return
        self._tolerating(
            unknown,
            "set the lifecycle of",
            self._client.put_bucket_lifecycle_configuration,
            LifecycleConfiguration={"Rules": [_rule(rule) for rule in rules]},
        )

    def delete(self, *, force: bool) -> None:
        """Delete the Space; with force, all objects and their versions first if there are any."""
        full = "BucketNotEmpty" if force else ()
        if self._tolerating(full, "delete", self._client.delete_bucket):
            while self._delete_page():
                pass
            self._call("delete", self._client.delete_bucket)

    def _delete_page(self) -> bool:
        """Delete up to 1000 versions; return whether there were any."""
        page = self._call("list", self._client.list_object_versions)
        versions = [
            {"Key": version["Key"], "VersionId": version["VersionId"]}
            for version in page.get("Versions", []) + page.get("DeleteMarkers", [])
        ]
        if versions:
            deletion = {"Objects": versions, "Quiet": True}
            failed = self._call("empty", self._client.delete_objects, Delete=deletion).get("Errors")
            if failed:
                raise ProviderError(f"could not empty Space {self._name}: {failed[0]['Code']}")
        return bool(versions)

    def _pause(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise ProviderError(f"Space {self._name} did not exist {_TIMEOUT} s after its creation")
        time.sleep(1)

    def _tolerating(
        self,
        accepted: str | tuple[str, ...],
        what: str,
        method: Callable[..., dict[str, Any]],
        **arguments: object,
    ) -> str:
        """Call the server; return the code of an accepted error, or an empty string."""
        try:
            self._call(what, method, **arguments)
        except RefusalError as refusal:
            if refusal.code not in ((accepted,) if isinstance(accepted, str) else accepted):
                raise
            return refusal.code
        return ""

    def _call(
        self, what: str, method: Callable[..., dict[str, Any]], **arguments: object
    ) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return method(Bucket=self._name, **arguments)
        except ClientError as error:
            code, reason = (error.response["Error"].get(key, "") for key in ("Code", "Message"))
            raise RefusalError(
                f"could not {what} Space {self._name}: {code} {reason}", code
            ) from None
        except BotoCoreError as error:
            raise ProviderError(f"could not {what} Space {self._name}: {error}") from None


def _rule(rule: Properties) -> dict[str, object]:
    """Return a lifecycle rule of the SDK's in S3's format."""
    converted: dict[str, object] = {
        "Status": "Enabled" if rule["enabled"] else "Disabled",
        "Filter": {"Prefix": rule.get("prefix", "")},
    }
    if "id" in rule:
        converted["ID"] = rule["id"]
    if "abortIncompleteMultipartUploadDays" in rule:
        days = rule["abortIncompleteMultipartUploadDays"]
        converted["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
    if "expiration" in rule:
        converted["Expiration"] = {
            _EXPIRATION[key]: value for key, value in rule["expiration"].items()
        }
    if "noncurrentVersionExpiration" in rule:
        days = rule["noncurrentVersionExpiration"]["days"]
        converted["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    return converted
