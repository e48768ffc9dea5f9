"""The account's storage keys, which DigitalOcean's API stand-in stores and the S3 server enforces.

Each key is a user of the S3 server's IAM with one access key and one inline policy. So a grant may
name a Space that does not exist yet, and ends with its key, without any policy on the Space itself.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.cloud.delays import Delays
from sandbox.cloud.errors import ApiError, NotFoundError
from sandbox.cloud.key import Body, Key
from sandbox.cloud.pages import page
from sandbox.cloud.policies import FULL_ACCESS, SCOPED, Grant, has_full_access, policy

if TYPE_CHECKING:
    from botocore.client import BaseClient

LIMIT = 200
"""Keys of one account: https://docs.digitalocean.com/products/spaces/details/limits/"""

_POLICY = "grants"
"""The name of each user's only policy."""

_BLOCKED = 20
"""How many names stay blocked. With more, the policy that blocks them would exceed the 2048 bytes
per user that the IAM server accepts, like AWS."""

_INTERVAL = 0.2
"""Seconds between two checks for deleted Spaces; the name of one is free for that long."""


@dataclass
class Account:
    """The account, which outlives a restart.

    Attributes:
        keys: By access key.
        spaces: Names of the Spaces at the last check.
        blocked: Names of deleted Spaces, the latest last.
    """

    keys: dict[str, Key] = field(default_factory=dict)
    spaces: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)


class Keys:
    """The storage keys of the only account.

    Args:
        path: The file that stores the account.
        iam: A client of the IAM server, with the root key.
        delays: The Spaces, and how long new keys are unknown to them.
    """

    def __init__(self, path: Path, iam: BaseClient, delays: Delays) -> None:
        self._path = path
        self._iam = iam
        self._delays = delays
        self.lock = threading.RLock()
        """Held during each call."""
        self._blocking = True
        self._account = Account()
        if path.exists():
            stored = json.loads(path.read_text())
            keys = {name: Key(**key) for name, key in stored["keys"].items()}
            self._account = Account(keys, stored["spaces"], stored["blocked"])

    @property
    def blocking(self) -> bool:
        """Whether a new Space cannot have the name of a deleted one.

        DigitalOcean does that for a week: https://docs.digitalocean.com/products/spaces/details/limits/
        """
        return self._blocking

    @blocking.setter
    def blocking(self, value: bool) -> None:
        self._blocking = value
        self._grant_full_access()

    @property
    def blocked(self) -> list[str]:
        """The names of deleted Spaces."""
        return self._account.blocked

    def create(self, body: Body) -> Body:
        """Create a key; only this response contains its secret."""
        name, grants = _checked(body)
        if len(self._account.keys) >= LIMIT:
            raise ApiError(HTTPStatus.BAD_REQUEST, "key limit reached")
        user = f"key-{uuid.uuid4().hex}"
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        key = Key(user, name, access_key="", grants=grants, created_at=now)
        self._iam.create_user(UserName=user)
        self._grant(key)
        created = self._iam.create_access_key(UserName=user)["AccessKey"]
        key.access_key = created["AccessKeyId"]
        self._account.keys[key.access_key] = key
        self._save()
        self._delays.begin(key)
        return {"key": key.public() | {"secret_key": created["SecretAccessKey"]}}

    def list(self, query: Mapping[str, str]) -> Body:
        """Return a page of the keys, filtered as the query says by name, bucket or permission."""
        matches = [
            key.public()
            for key in self._account.keys.values()
            if query.get("name", key.name) == key.name
            and all(
                any(grant[part] == query[part] for grant in key.grants)
                for part in ("bucket", "permission")
                if part in query
            )
        ]
        return page("keys", matches, query)

    def read(self, access_key: str) -> Body:
        """Return a key."""
        return {"key": self._find(access_key).public()}

    def update(self, access_key: str, body: Body) -> Body:
        """Change name and grants of a key; effective at once."""
        key = self._find(access_key)
        name, grants = _checked(body)
        new = Key(key.user, name, access_key, grants, key.created_at)
        if has_full_access(new.grants) != has_full_access(key.grants):
            raise ApiError(
                HTTPStatus.BAD_REQUEST,
                "cannot convert between fullaccess and scoped permissions.",
            )
        self._grant(new)
        self._account.keys[access_key] = new
        self._save()
        return self.read(access_key)

    def delete(self, access_key: str) -> None:
        """Delete a key; effective at once."""
        user = self._find(access_key).user
        self._iam.delete_access_key(UserName=user, AccessKeyId=access_key)
        self._iam.delete_user_policy(UserName=user, PolicyName=_POLICY)
        self._iam.delete_user(UserName=user)
        del self._account.keys[access_key]
        self._save()

    def watch(self) -> None:
        """Block the names of deleted Spaces, for as long as the process lives."""
        while True:
            self.block_deleted()
            time.sleep(_INTERVAL)

    def block_deleted(self) -> None:
        """Block the names of Spaces that were deleted since the last call."""
        present = sorted(self._delays.spaces())
        with self.lock:
            if present == self._account.spaces:
                return
            gone = sorted({*self._account.spaces} - {*present})
            self._account.spaces = present
            if gone:
                kept = [name for name in self._account.blocked if name not in gone]
                self._account.blocked = [*kept, *gone][-_BLOCKED:]
                self._grant_full_access()
            self._save()

    def _find(self, access_key: str) -> Key:
        if not access_key.isalnum():
            raise ApiError(HTTPStatus.BAD_REQUEST, "invalid access key id")
        if access_key not in self._account.keys:
            raise NotFoundError
        return self._account.keys[access_key]

    def _grant_full_access(self) -> None:
        with self.lock:
            for key in self._account.keys.values():
                if has_full_access(key.grants):
                    self._grant(key)

    def _grant(self, key: Key) -> None:
        document = policy(key.grants, self.blocked if self._blocking else ())
        self._iam.put_user_policy(UserName=key.user, PolicyName=_POLICY, PolicyDocument=document)

    def _save(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self._account)))
        new.replace(self._path)


def _checked(body: object) -> tuple[str, list[Grant]]:
    """Return the name and the grants in a request's body."""
    if not isinstance(body, dict) or not isinstance(body.get("name"), str) or not body["name"]:
        raise ApiError(HTTPStatus.BAD_REQUEST, "name is required")
    grants = [
        {part: str(grant.get(part, "")) for part in ("bucket", "permission")}
        for grant in body.get("grants") or []
    ]
    permissions = {grant["permission"] for grant in grants}
    # Upstream's client sends a permission that it does not know as an empty one.
    if not permissions <= {"", FULL_ACCESS, *SCOPED}:
        raise ApiError(HTTPStatus.BAD_REQUEST, "invalid permission")
    if FULL_ACCESS in permissions and len(permissions) > 1:
        raise ApiError(
            HTTPStatus.BAD_REQUEST, "cannot mix fullaccess permission with scoped permissions."
        )
    if any(grant["permission"] in SCOPED and not grant["bucket"] for grant in grants):
        raise ApiError(HTTPStatus.BAD_REQUEST, "bucket is required for a scoped permission")
    return body["name"], grants
