"""What the stand-ins talk to, in memory: an engine's call, an IAM server, an S3 server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from unittest.mock import create_autospec

import grpc
from botocore.exceptions import ClientError
from pulumi.runtime.proto import provider_pb2, status_pb2

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class AbortedError(Exception):
    """The error that a plugin returned."""

    def __init__(self, message: str, partial: provider_pb2.ErrorResourceInitFailed | None) -> None:
        super().__init__(message)
        self.partial = partial


def call(
    method: Callable[[_Request, grpc.ServicerContext], _Response], request: _Request
) -> _Response:
    """Call a plugin as the engine does."""
    context = create_autospec(grpc.ServicerContext, instance=True)

    def abort(_code: grpc.StatusCode, message: str) -> NoReturn:
        partial = None
        if context.set_trailing_metadata.called:
            ((_, details),) = context.set_trailing_metadata.call_args.args[0]
            partial = provider_pb2.ErrorResourceInitFailed()
            status_pb2.Status.FromString(details).details[0].Unpack(partial)
        raise AbortedError(message, partial)

    context.abort.side_effect = abort
    return method(request, context)


def refusal(code: str, operation: str = "Call") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as the test wants"}}, operation)


@dataclass
class FakeIam:
    """Keeps users as an IAM server does, and nothing of their passwords."""

    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    access_keys: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    drawn: int = 0

    def create_user(self, UserName: str) -> None:  # noqa: N803 - boto3's name
        self.policies[UserName] = {}

    def put_user_policy(self, UserName: str, PolicyName: str, PolicyDocument: str) -> None:  # noqa: N803 - boto3's names
        assert PolicyName == "grants"
        assert len(PolicyDocument) <= 2048, "the IAM server takes no more bytes per user"
        self.policies[UserName] = json.loads(PolicyDocument)

    def create_access_key(self, UserName: str) -> dict[str, dict[str, str]]:  # noqa: N803 - boto3's name
        self.drawn += 1
        access_key = f"AKIA{self.drawn:017}"
        self.access_keys[access_key] = UserName
        return {"AccessKey": {"AccessKeyId": access_key, "SecretAccessKey": f"secret-{self.drawn}"}}

    def update_access_key(self, UserName: str, AccessKeyId: str, Status: str) -> None:  # noqa: N803 - boto3's names
        assert self.access_keys[AccessKeyId] == UserName
        self.statuses[AccessKeyId] = Status

    def delete_access_key(self, UserName: str, AccessKeyId: str) -> None:  # noqa: N803 - boto3's names
        assert self.access_keys.pop(AccessKeyId) == UserName

    def delete_user_policy(self, UserName: str, PolicyName: str) -> None:  # noqa: N803 - boto3's names
        assert self.policies[UserName], f"policy {PolicyName} must be there to be deleted"
        self.policies[UserName] = {}

    def delete_user(self, UserName: str) -> None:  # noqa: N803 - boto3's name
        assert not self.policies.pop(UserName), "IAM refuses to delete a user with a policy"

    def policy_of(self, access_key: str) -> list[dict[str, Any]]:
        statements: list[dict[str, Any]] = self.policies[self.access_keys[access_key]]["Statement"]
        return statements


@dataclass
class FakeS3:
    """One bucket of an S3 server, and what was called on it."""

    exists: bool = False
    objects: int = 0
    location: str | None = "nyc3"
    versioning: str | None = None
    refuses: dict[str, list[str]] = field(default_factory=dict)
    """Codes that the next calls of a method return."""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def method(**arguments: Any) -> dict[str, Any]:
            del arguments["Bucket"]
            self.calls.append((name, arguments))
            codes = self.refuses.get(name)
            if codes:
                raise refusal(codes.pop(0), name)
            response: Callable[..., dict[str, Any]] = getattr(self, f"_{name}", lambda **_: {})
            return response(**arguments)

        if name.startswith("_"):
            raise AttributeError(name)
        return method

    @property
    def changes(self) -> list[str]:
        """The names of the calls that change something."""
        return [name for name, _ in self.calls if not name.startswith(("head", "get", "list"))]

    def _create_bucket(self, **_: Any) -> dict[str, Any]:
        self.exists = True
        return {}

    def _head_bucket(self) -> dict[str, Any]:
        if not self.exists:
            raise refusal("404")
        return {}

    def _delete_bucket(self) -> dict[str, Any]:
        if self.objects:
            raise refusal("BucketNotEmpty")
        self.exists = False
        return {}

    def _get_bucket_location(self) -> dict[str, Any]:
        return {"LocationConstraint": self.location}

    def _get_bucket_versioning(self) -> dict[str, Any]:
        return {"Status": self.versioning} if self.versioning else {}

    def _put_bucket_versioning(self, **arguments: Any) -> dict[str, Any]:
        self.versioning = arguments["VersioningConfiguration"]["Status"]
        return {}

    def _list_object_versions(self) -> dict[str, Any]:
        page = [{"Key": f"{n}", "VersionId": "null"} for n in range(min(self.objects, 1000))]
        return {"Versions": page} if page else {}

    def _delete_objects(self, **arguments: Any) -> dict[str, Any]:
        self.objects -= len(arguments["Delete"]["Objects"])
        return {}
