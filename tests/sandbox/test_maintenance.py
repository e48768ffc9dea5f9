"""The CronJob that looks after the storage, and a tag that comes back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.build import images
from scripts.maintenance.keys import blob_key
from tests.sandbox.helpers import Sandbox
from tests.sandbox.maintenance import NAMESPACE, maintain, suspended

REPOSITORY = "maintenance/whoami"


@pytest.fixture
def manifest(sandbox: Sandbox) -> Iterator[str]:
    """Push an image, and return its manifest; nothing of it is left at the end."""
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    login = f"--dest-creds=admin:{sandbox.password}"
    sandbox.run("skopeo", "copy", login, source, image(sandbox))
    creds = f"--creds=admin:{sandbox.password}"
    yield sandbox.run("skopeo", "inspect", "--raw", creds, image(sandbox)).stdout
    folder = f"docker/registry/v2/repositories/{REPOSITORY}/"
    s3 = sandbox.s3()
    for item in s3.list_objects_v2(Bucket=sandbox.bucket, Prefix=folder)["Contents"]:
        s3.delete_object(Bucket=sandbox.bucket, Key=item["Key"])


def image(sandbox: Sandbox) -> str:
    return f"docker://{sandbox.registry}/{REPOSITORY}:1"


@pytest.fixture
def job(sandbox: Sandbox) -> Iterator[str]:
    """Return the name of a Job, which is deleted at the end."""
    yield "now"
    sandbox.kubectl("delete", "job", "now", NAMESPACE)


def test_a_tag_that_was_seen_comes_back_whole(
    sandbox: Sandbox, manifest: str, job: str, tmp_path: Path
) -> None:
    # Another run in between would change the table.
    with suspended(sandbox):
        usage = sandbox.run("python3", "-m", "scripts.client.usage").stdout
        log = maintain(sandbox, job, "Complete")
    assert log.startswith(usage), "it shows the same as the command"
    (row,) = [line.split() for line in usage.splitlines() if line.startswith(REPOSITORY)]
    assert row[1:3] == ["1", "1"]
    digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    deleted, _, _ = sandbox.http("DELETE", f"/v2/{REPOSITORY}/manifests/{digest}", login=True)
    assert deleted == 202
    pull = ("skopeo", "copy", f"--src-creds=admin:{sandbox.password}", image(sandbox))
    assert "manifest unknown" in sandbox.run(*pull, f"dir:{tmp_path}", fails=True).stderr
    restore = ("python3", "-m", "scripts.client.restore", REPOSITORY)
    gone = sandbox.run(*restore).stdout
    assert re.search(f"{REPOSITORY}:1 .* a client .* not deleted .* {digest}", gone)
    # It is read through the registry before that is said.
    assert sandbox.run(*restore, "1").stdout == f"{REPOSITORY}:1@{digest} is back\n"
    sandbox.run(*pull, f"dir:{tmp_path}")
    assert (tmp_path / "manifest.json").read_text() == manifest


@pytest.mark.long
def test_an_image_that_lost_a_layer_fails_the_run(
    sandbox: Sandbox, manifest: str, job: str
) -> None:
    layer = json.loads(manifest)["layers"][0]["digest"]
    s3, bucket, key = sandbox.s3(), sandbox.bucket, blob_key(layer)
    content = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=key)
    try:
        log = maintain(sandbox, job, "Failed")
    finally:
        s3.put_object(Bucket=bucket, Key=key, Body=content)
    assert f"FAILED: lost: {REPOSITORY}:1: its layer {layer} is not in the bucket" in log
