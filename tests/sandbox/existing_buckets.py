"""Existing buckets on two S3 servers, and stacks that use them."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.registry.config import credentials_file
from sandbox.build import toolchain
from sandbox.enclosure.enclosure import enter
from sandbox.layout import REGION
from settings.storage_place import Place, url
from tests.pinned_tools import MINIO
from tests.sandbox.helpers import ROOT, Result, Sandbox, eventually

BUCKET = "images"
MINIO_PORT = 9000
MINIO_REGION = "eu-central-1"
MINIO_DOMAIN = "minio.svc.cluster.local"
"""A bucket is a Service in that namespace, so that pods resolve its hostname."""


@dataclass(frozen=True)
class ExistingBucket:
    """A bucket that was created by hand, with its storage key."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    owner: Any

    def images(self) -> list[str]:
        """Return the names of all objects but the maintenance's, which may have run meanwhile."""
        pages = self.owner.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        names = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return [name for name in names if "maintenance/" not in name]


def empty(owner: Any, bucket: str) -> None:
    """Delete a bucket with all that is in it."""
    for page in owner.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            owner.delete_object(Bucket=bucket, Key=entry["Key"])
    owner.delete_bucket(Bucket=bucket)


@pytest.fixture(scope="module")
def versitygw(sandbox: Sandbox) -> Iterator[ExistingBucket]:
    """The sandbox's S3 server."""
    owner = sandbox.s3()
    owner.create_bucket(Bucket=BUCKET)
    with ExitStack() as undo:
        undo.callback(empty, owner, BUCKET)
        grants = [{"bucket": BUCKET, "permission": "readwrite"}]
        key = sandbox.api("POST", "spaces/keys", {"name": "by-hand", "grants": grants})["key"]
        undo.callback(sandbox.api, "DELETE", f"spaces/keys/{key['access_key']}")
        yield ExistingBucket(
            sandbox.s3_endpoint, REGION, key["access_key"], key["secret_key"], owner
        )


@pytest.fixture(scope="module")
def minio(sandbox: Sandbox) -> Iterator[ExistingBucket]:
    """MinIO, only for these tests, in the network namespace of the cloud's stand-ins."""
    layout = sandbox.layout
    data = layout.state / "minio"
    toolchain.build(layout.tools, [MINIO])
    address, access_key, secret_key = (
        f"{layout.cloud_ip}:{MINIO_PORT}", "minio-root", secrets.token_hex(20)
    )  # fmt: skip
    owner = boto3.client(
        "s3",
        endpoint_url=f"http://{address}",
        region_name=MINIO_REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    with (layout.logs / "minio.log").open("wb") as log:
        process = subprocess.Popen(
            [
                *enter(layout.node),
                *(str(layout.tools / "minio"), "server", "--quiet", "--address", address),
                *("--console-address", f"{layout.cloud_ip}:{MINIO_PORT + 1}"),
                str(data),
            ],
            env=os.environ
            | {
                "MINIO_ROOT_USER": access_key,
                "MINIO_ROOT_PASSWORD": secret_key,
                "MINIO_DOMAIN": MINIO_DOMAIN,
                "MINIO_SITE_REGION": MINIO_REGION,
                "MINIO_UPDATE": "off",
            },
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        eventually("MinIO listens", lambda: responds(owner), 30)
        owner.create_bucket(Bucket=BUCKET)
        create_hostname(sandbox)
        yield ExistingBucket(
            f"http://{MINIO_DOMAIN}:{MINIO_PORT}", MINIO_REGION, access_key, secret_key, owner
        )
    finally:
        # nsenter waits for its child, but does not kill it.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # Another module's MinIO has another password, and creates the bucket anew.
        shutil.rmtree(data, ignore_errors=True)
        sandbox.kubectl("delete", "namespace", "minio", "--ignore-not-found")


def responds(owner: Any) -> bool:
    try:
        owner.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def create_hostname(sandbox: Sandbox) -> None:
    """Make ``<bucket>.minio.svc.cluster.local`` resolve to MinIO."""
    meta = {"name": BUCKET, "namespace": "minio"}
    port = {"name": "s3", "port": MINIO_PORT}
    sandbox.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "minio"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"clusterIP": "None", "ports": [port]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": BUCKET}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [sandbox.layout.cloud_ip]}],
            "ports": [port],
        },
    )


def record(stack: Sandbox) -> Place | None:
    """Return the place of the images in the stack's state."""
    state = json.loads(stack.pulumi("stack", "export").stdout)["deployment"]
    for resource in state.get("resources", []):
        if resource["urn"].endswith("::record"):
            place: Place = resource["inputs"]["input"]["storage"]
            return place
    return None


def use(stack: Sandbox, bucket: ExistingBucket, /, *, secret_key: str = "", **other: Any) -> None:
    """Set all storage keys, as after a copy of the images."""
    settings = {
        "kind": "s3",
        "endpoint": bucket.endpoint,
        "region": bucket.region,
        "bucket": BUCKET,
        "accessKey": bucket.access_key,
        **other,
    }
    if recorded := record(stack):
        settings["movedFrom"] = url(recorded)
    stack.config(**{f"storage__{key}": value for key, value in settings.items()})
    stack.pulumi("config", "set", "--path", "--secret", "storage.secretKey",
                 stdin=secret_key or bucket.secret_key)  # fmt: skip


def checked(bucket: ExistingBucket, tmp_path: Path, *options: str, endpoint: str = "") -> Result:
    """Run the storage check from this machine."""
    key_file = tmp_path / "credentials"
    key_file.write_text(credentials_file(bucket.access_key, bucket.secret_key))
    return subprocess.run(
        [
            *(sys.executable, "-m", "scripts.storage.check_storage", endpoint or bucket.endpoint),
            *(
                f"--region={bucket.region}",
                f"--bucket={BUCKET}",
                f"--key-file={key_file}",
                *options,
            ),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
