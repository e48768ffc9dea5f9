"""The Space that keeps the images, and the storage key that opens it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.helpers import Sandbox


def test_the_bucket_holds_the_images_and_no_other_bucket_does(sandbox: Sandbox) -> None:
    s3 = sandbox.s3()
    buckets = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    assert buckets == [sandbox.bucket]
    keys = [
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=sandbox.bucket)
        for entry in page["Contents"]
    ]
    assert any(key.startswith("docker/registry/v2/blobs/sha256/") for key in keys)
    others = {key for key in keys if not key.startswith("docker/registry/v2/")}
    assert {key.partition("/")[0] for key in others} <= {"maintenance"}


def test_the_storage_key_is_refused_on_another_bucket(sandbox: Sandbox) -> None:
    sandbox.s3().create_bucket(Bucket="someone-elses")
    try:
        file = sandbox.secret("registry-storage-key")["credentials"]
        access, secret = (line.split(" = ")[1] for line in file.splitlines()[1:])
        mine = sandbox.s3(access, secret)
        assert mine.list_objects_v2(Bucket=sandbox.bucket, MaxKeys=1)["KeyCount"] == 1
        forbidden: list[Callable[[], Any]] = [
            lambda: mine.list_objects_v2(Bucket="someone-elses"),
            lambda: mine.put_object(Bucket="someone-elses", Key="x", Body=b""),
            lambda: mine.get_object(Bucket="someone-elses", Key="x"),
            lambda: mine.create_bucket(Bucket="yet-another"),
            lambda: mine.delete_bucket(Bucket=sandbox.bucket),
            lambda: mine.get_bucket_acl(Bucket=sandbox.bucket),
        ]
        for call in forbidden:
            with pytest.raises(ClientError, match="AccessDenied"):
                call()
    finally:
        sandbox.s3().delete_bucket(Bucket="someone-elses")
