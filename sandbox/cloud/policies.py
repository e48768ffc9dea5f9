"""The permissions of a storage key as a policy of the S3 server's IAM."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

Grant = dict[str, str]
"""A bucket and a permission, as in DigitalOcean's API."""

_READ = ("s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation")
_WRITE = (
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
    "s3:ListBucketMultipartUploads",
)

SCOPED = {"read": _READ, "readwrite": _READ + _WRITE}
"""The actions that each permission for one bucket allows. None on the bucket itself, such as
reading its ACL: users report 403 there (https://github.com/owncloud/files_primary_s3/issues/690)."""

FULL_ACCESS = "fullaccess"
"""The permission for all buckets, which includes creating and deleting them."""


def has_full_access(grants: Collection[Grant]) -> bool:
    """Return whether grants give access to all buckets."""
    return any(grant["permission"] == FULL_ACCESS for grant in grants)


def policy(grants: Sequence[Grant], blocked: Sequence[str]) -> str:
    """Return the policy of a key, as JSON.

    Args:
        grants: The grants of the key.
        blocked: Names that no new bucket may have.
    """
    statements = _full_access(blocked) if has_full_access(grants) else _scoped(grants)
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _full_access(blocked: Sequence[str]) -> list[dict[str, object]]:
    statements: list[dict[str, object]] = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    ]
    if blocked:
        names = [f"arn:aws:s3:::{name}" for name in blocked]
        statements.append({"Effect": "Deny", "Action": "s3:CreateBucket", "Resource": names})
    return statements


def _scoped(grants: Sequence[Grant]) -> list[dict[str, object]]:
    statements: list[dict[str, object]] = []
    for permission, actions in SCOPED.items():
        names = [grant["bucket"] for grant in grants if grant["permission"] == permission]
        if names:
            resources = [f"arn:aws:s3:::{name}{part}" for name in names for part in ("", "/*")]
            statements.append({"Effect": "Allow", "Action": actions, "Resource": resources})
    # A policy needs a statement, and a key without grants has no access.
    return statements or [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]
