"""One Space, over S3's protocol, with the calls that upstream's plugin makes.

They differ in two ways. The Space is named in the path, where upstream names it in the host name,
so that nobody needs a wildcard in DNS. And they are signed for the Space's region, where upstream
signs for us-east-1 always: Spaces take that, but the sandbox's S3 server is as strict as AWS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sandbox.engine.plugins.resource import ProviderError
from sandbox.engine.plugins.wire import Properties

if TYPE_CHECKING:
    from botocore.client import BaseClient

_PATIENCE = 300
"""Seconds for a new Space to show up; upstream's."""

_ATTEMPTS = 4
"""Of one request while the server is broken or out of reach; upstream tries again 3 times."""

_EXPIRATION = {
    "days": "Days",
    "date": "Date",
    "expiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
"""How S3 calls the SDK's properties of an expiration."""


class RefusalError(ProviderError):
    """The server refuses a call.

    Args:
        message: What was to be done, and why the server did not.
        code: S3's code of the refusal, like ``BucketNotEmpty``.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def connect(config: Mapping[str, str], region: str) -> BaseClient:
    """Make an S3 client.

    Args:
        config: The provider's configuration.
        region: The Space's region, like ``nyc3``.

    Raises:
        ProviderError: The configuration has no Spaces credentials.
    """
    # 0.15 s to load, which what does not touch a Space is spared.
    import boto3
    from botocore.config import Config

    if not (config.get("spacesAccessId") and config.get("spacesSecretKey")):
        raise ProviderError(
            "no Spaces credentials: give the provider spacesAccessId and spacesSecretKey"
        )
    return boto3.client(
        "s3",
        endpoint_url=config["spacesEndpoint"].replace("{{.Region}}", region.lower()),
        aws_access_key_id=config["spacesAccessId"],
        aws_secret_access_key=config["spacesSecretKey"],
        region_name=region.lower(),
        config=Config(
            s3={"addressing_style": "path"},
            # Names that only the sandbox knows are of no use to a proxy.
            proxies={},
            retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
            request_checksum_calculation="when_required",
        ),
    )


class Space:
    """A Space that may or may not be there; every call may raise a ProviderError.

    Args:
        client: An S3 client.
        name: The Space's name.
    """

    def __init__(self, client: BaseClient, name: str) -> None:
        self._client = client
        self._name = name

    def create(self, acl: str) -> None:
        """Make the Space, and wait until it is there."""
        deadline = time.monotonic() + _PATIENCE
        # S3's answer while another call makes or deletes a Space of that name.
        busy = "OperationAborted"
        while self._tolerating(busy, "create", self._client.create_bucket, ACL=acl):
            self._pause(deadline)
        while not self.exists():
            self._pause(deadline)

    def exists(self) -> bool:
        """Tell whether the Space is there."""
        return not self._tolerating("404", "find", self._client.head_bucket)

    def region(self) -> str:
        """Tell the Space's region; empty if the server does not say."""
        found = self._call("locate", self._client.get_bucket_location)
        return str(found.get("LocationConstraint") or "")

    def versioned(self) -> bool:
        """Tell whether old versions of objects are kept."""
        found = self._call("read the versioning of", self._client.get_bucket_versioning)
        return bool(found.get("Status") == "Enabled")

    def lost_lifecycle(self) -> bool:
        """Tell whether there are no lifecycle rules.

        A server that knows of no such rules, as that of the sandbox, has not lost any.
        """
        none = "NoSuchLifecycleConfiguration"
        read = self._client.get_bucket_lifecycle_configuration
        return self._tolerating((none, "NotImplemented"), "read the lifecycle of", read) == none

    def set_acl(self, acl: str) -> None:
        """Set the canned ACL."""
        self._call("set the ACL of", self._client.put_bucket_acl, ACL=acl)

    def set_cors(self, rules: list[Properties] | None) -> None:
        """Set the CORS rules, named as in the SDK; none removes them."""
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
        """Keep old versions of objects, or stop to."""
        status = {"Status": "Enabled" if enabled else "Suspended"}
        put = self._client.put_bucket_versioning
        self._call("set the versioning of", put, VersioningConfiguration=status)

    def set_lifecycle(self, rules: list[Properties] | None) -> None:
        """Set the lifecycle rules, named as in the SDK; none removes them.

        A server that knows of no such rules, as that of the sandbox, is left alone: the rules are
        then in the state only.
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
        """Delete the first up to 1000 versions; tell whether there were any."""
        page = self._call("list", self._client.list_object_versions)
        versions = [
            {"Key": found["Key"], "VersionId": found["VersionId"]}
            for found in page.get("Versions", []) + page.get("DeleteMarkers", [])
        ]
        if versions:
            doomed = {"Objects": versions, "Quiet": True}
            failed = self._call("empty", self._client.delete_objects, Delete=doomed).get("Errors")
            if failed:
                raise ProviderError(f"could not empty Space {self._name}: {failed[0]['Code']}")
        return bool(versions)

    def _pause(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise ProviderError(
                f"Space {self._name} was not there {_PATIENCE} s after its creation"
            )
        time.sleep(1)

    def _tolerating(
        self,
        accepted: str | tuple[str, ...],
        what: str,
        method: Callable[..., dict[str, Any]],
        **arguments: object,
    ) -> str:
        """Call the server; give the code of an accepted refusal, nothing after a success."""
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
    """Turn a lifecycle rule of the SDK's into one of S3's."""
    sent: dict[str, object] = {
        "Status": "Enabled" if rule["enabled"] else "Disabled",
        "Filter": {"Prefix": rule.get("prefix", "")},
    }
    if "id" in rule:
        sent["ID"] = rule["id"]
    if "abortIncompleteMultipartUploadDays" in rule:
        days = rule["abortIncompleteMultipartUploadDays"]
        sent["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": days}
    if "expiration" in rule:
        sent["Expiration"] = {_EXPIRATION[key]: value for key, value in rule["expiration"].items()}
    if "noncurrentVersionExpiration" in rule:
        days = rule["noncurrentVersionExpiration"]["days"]
        sent["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    return sent
