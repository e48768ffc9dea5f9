"""Blobs that no image needs go, and what the registry's pods remember of them goes too."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.maintenance.keys import blob_key
from tests.sandbox.helpers import WAIT_UNTIL_ADMITTED, Sandbox
from tests.sandbox.maintenance import NAMESPACE, log_of, suspended

COLLECT = """
import sys, time
from scripts.maintenance import fuse, maintain
from scripts.maintenance.plan import Times

class Quick(Times):
    def __new__(cls, keep):
        return Times(keep=1.5, grace=1)

maintain.Times = Quick
# What other tests have left is more than a fifth.
fuse.SHARE = 0
sys.argv.append("--collect")
for _ in range(8):
    assert maintain.main() == 0
    time.sleep(2)
"""
"""Eight runs with times of a second or so: each step of a collection takes one run."""

ATTACK = """
import base64, urllib.error, urllib.request
from pathlib import Path
wait_until_admitted("registry-pods", 5082)
password = Path("/script/secret/password").read_text()
digest = "sha256:" + "0" * 64
for user, secret, method, path, expected in (
    ("maintenance", password, "DELETE", f"/v2/a/manifests/{digest}", 404),
    ("maintenance", "x", "DELETE", f"/v2/a/manifests/{digest}", 401),
    ("admin", password, "DELETE", f"/v2/a/manifests/{digest}", 401),
    ("maintenance", password, "GET", f"/v2/a/manifests/{digest}", 404),
    ("maintenance", password, "DELETE", f"/v2/a/blobs/{digest}", 404),
    ("maintenance", password, "GET", "/v2/_catalog", 404),
    ("maintenance", password, "DELETE", "/v2/a/manifests/latest", 404),
    ("maintenance", password, "POST", "/v2/a/blobs/uploads/", 404),
):
    token = base64.b64encode(f"{user}:{secret}".encode()).decode()
    request = urllib.request.Request("http://registry-pods:5082" + path, method=method)
    request.add_header("Authorization", "Basic " + token)
    try:
        status, body = urllib.request.urlopen(request, timeout=10).status, b""
    except urllib.error.HTTPError as error:
        status, body = error.code, error.read()
    assert status == expected, (user, method, path, status)
    served = b"UNKNOWN" in body
    asked = method == "DELETE" and path.endswith(f"/manifests/{digest}")
    assert served == (asked and status == 404), (path, body)
"""


@pytest.fixture(autouse=True)
def no_other_run(sandbox: Sandbox) -> Iterator[None]:
    with suspended(sandbox):
        yield


def job(sandbox: Sandbox, name: str, script: str) -> str:
    """Run a script instead of the maintenance's, in a Job of its CronJob; return its log."""
    template = sandbox.get("cronjob", "maintenance", NAMESPACE)["spec"]["jobTemplate"]
    container: dict[str, Any] = template["spec"]["template"]["spec"]["containers"][0]
    # Python takes the script for -m, and leaves the arguments to it.
    container["command"] = ["python3", "-c", script, *container["command"][3:]]
    metadata = {"name": name, "namespace": "registry"}
    sandbox.apply({"apiVersion": "batch/v1", "kind": "Job", **template, "metadata": metadata})
    try:
        return log_of(sandbox, name, "Complete")
    finally:
        sandbox.kubectl("delete", "job", name, NAMESPACE)


def blobs(sandbox: Sandbox, digests: list[str]) -> list[str]:
    """Return those of some blobs that are in the bucket."""
    folder = "docker/registry/v2/blobs/"
    pages = sandbox.s3().get_paginator("list_objects_v2")
    keys = {
        item["Key"]
        for page in pages.paginate(Bucket=sandbox.bucket, Prefix=folder)
        for item in page.get("Contents", [])
    }
    return [digest for digest in digests if blob_key(digest) in keys]


def image_folder(folder: Path) -> list[str]:
    """Write an image that nobody else has, as skopeo's dir: takes it; return its blobs' digests."""
    folder.mkdir()

    def blob(content: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        (folder / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    layer = blob(os.urandom(100_000))
    rootfs = {"type": "layers", "diff_ids": [layer["digest"]]}
    config = blob(json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode())
    kind = "application/vnd.oci.image"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kind}.manifest.v1+json",
            "config": {"mediaType": f"{kind}.config.v1+json", **config},
            "layers": [{"mediaType": f"{kind}.layer.v1.tar", **layer}],
        }
    )
    (folder / "manifest.json").write_text(manifest)
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    whole = hashlib.sha256(manifest.encode()).hexdigest()
    return [layer["digest"], config["digest"], f"sha256:{whole}"]


def test_what_no_image_needs_goes_and_is_taken_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    digests = image_folder(tmp_path / "image")
    image = f"docker://{sandbox.registry}/collection/app:1"
    login = f"admin:{sandbox.password}"
    copy = ("skopeo", "copy", "--preserve-digests")
    push = (*copy, f"--dest-creds={login}", f"dir:{tmp_path}/image", image)
    sandbox.run(*push)
    sandbox.run(*copy, f"--src-creds={login}", image, f"dir:{tmp_path}/before")
    assert blobs(sandbox, digests) == digests
    sandbox.run("skopeo", "delete", f"--creds={login}", image)
    log = job(sandbox, "collect", COLLECT)
    assert "deleted: " in log
    assert blobs(sandbox, digests) == []
    # The pod that has served it must not say that it is there still.
    sandbox.run(*push)
    sandbox.run(*copy, f"--src-creds={login}", image, f"dir:{tmp_path}/after")
    assert blobs(sandbox, digests) == digests


def test_the_maintenance_can_make_the_registry_forget_and_nothing_else(sandbox: Sandbox) -> None:
    job(sandbox, "attack", WAIT_UNTIL_ADMITTED + ATTACK)
