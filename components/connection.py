"""What the registry needs to know of the store that keeps its images."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, kw_only=True)
class StorageConnection:
    """A bucket, and the key that opens it.

    Attributes:
        endpoint: The S3 server's URL, without the bucket.
        region: The region that requests are signed for.
        bucket: The bucket's name.
        access_key: The storage key's public half.
        secret_key: Its secret.
        path_style: Whether the bucket is named in the path instead of the host name.
        root_directory: The folder of the bucket to keep images in; empty for its top.
        managed: Whether this stack makes the bucket and its key, which so may be brand-new.
    """

    endpoint: str
    region: str
    bucket: pulumi.Input[str]
    access_key: pulumi.Input[str]
    secret_key: pulumi.Input[str]
    path_style: bool
    root_directory: str
    managed: bool
