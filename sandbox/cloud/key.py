"""One storage key of the account."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sandbox.cloud.policies import Grant

Body = dict[str, Any]
"""A JSON object of the API."""


@dataclass
class Key:
    """One storage key; only the IAM server has its secret.

    Attributes:
        user: The IAM user behind it.
        name: Chosen by its owner.
        access_key: Its public half.
        grants: Buckets with a permission each, in their original order.
        created_at: UTC, in the format of RFC 3339.
    """

    user: str
    name: str
    access_key: str
    grants: list[Grant]
    created_at: str

    def public(self) -> Body:
        """Return the key as the API shows it."""
        return {key: value for key, value in asdict(self).items() if key != "user"}
