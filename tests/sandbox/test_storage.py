"""Existing buckets on two S3 servers, and the errors of `up` for those that cannot be used."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.registry.config import credentials_file
from sandbox.build import toolchain
from sandbox.build.pinned_tools import MINIO
from sandbox.enclosure.enclosure import enter
from sandbox.layout import REGION
from tests.sandbox.helpers import ROOT, Result, Sandbox, eventually, second_stack

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

    def names(self) -> list[str]:
        pages = self.owner.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


@pytest.fixture(scope="module")
def versitygw(sandbox: Sandbox) -> Iterator[ExistingBucket]:
    """The sandbox's S3 server."""
    owner = sandbox.s3()
    owner.create_bucket(Bucket=BUCKET)
    grants = [{"bucket": BUCKET, "permission": "readwrite"}]
    key = sandbox.api("POST", "spaces/keys", {"name": "by-hand", "grants": grants})["key"]
    endpoint = sandbox.layout.spaces_endpoint.replace("{{.Region}}", REGION)
    bucket = ExistingBucket(endpoint, REGION, key["access_key"], key["secret_key"], owner)
    yield bucket
    sandbox.api("DELETE", f"spaces/keys/{bucket.access_key}")
    for name in bucket.names():
        owner.delete_object(Bucket=BUCKET, Key=name)
    owner.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def minio(sandbox: Sandbox) -> Iterator[ExistingBucket]:
    """MinIO, only for these tests, in the network namespace of the cloud's stand-ins."""
    layout = sandbox.layout
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
                *enter(layout),
                *(str(layout.tools / "minio"), "server", "--quiet", "--address", address),
                *("--console-address", f"{layout.cloud_ip}:{MINIO_PORT + 1}"),
                str(layout.state / "minio"),
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
        sandbox.kubectl("delete", "namespace", "minio", "--ignore-not-found", "--wait=false")


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


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A stack for storage in an existing bucket."""
    with second_stack(sandbox, "s3") as second:
        yield second


def use(stack: Sandbox, bucket: ExistingBucket, *, secret_key: str = "", **other: Any) -> None:
    """Set all storage keys."""
    settings = {
        "kind": "s3",
        "endpoint": bucket.endpoint,
        "region": bucket.region,
        "bucket": BUCKET,
        "accessKey": bucket.access_key,
        **other,
    }
    stack.config(**{f"storage__{key}": value for key, value in settings.items()})
    stack.pulumi("config", "set", "--path", "--secret", "storage.secretKey",
                 stdin=secret_key or bucket.secret_key)  # fmt: skip


def test_an_existing_bucket_keeps_the_images_in_the_configured_folder(
    stack: Sandbox, versitygw: ExistingBucket
) -> None:
    use(stack, versitygw, rootDirectory="k3s/images")
    stack.pulumi("up", "--yes", "--skip-preview")
    stack.pulumi("preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--expect-no-changes")
    names = versitygw.names()
    assert names, "the smoke test pushes an image, and deletes its manifest only"
    assert all(name.startswith("k3s/images/docker/registry/v2/") for name in names), names


WRONG: dict[str, tuple[dict[str, str], str]] = {
    "a name that nobody knows": (
        {"endpoint": "http://nowhere.test"},
        "storage.endpoint = http://nowhere.test: the name nowhere.test does not resolve",
    ),
    "https where http is spoken": (
        {"endpoint": "https://{spaces}"},
        "it speaks http, not https; fix: pulumi config set --path storage.endpoint http://{spaces}",
    ),
    "http where https is spoken": (
        {"endpoint": "http://{node}:6443"},
        "it speaks https, not http; "
        "fix: pulumi config set --path storage.endpoint https://{node}:6443",
    ),
    "a certificate of nobody's": (
        {"endpoint": "https://{node}:6443"},
        "storage.endpoint = https://{node}:6443: its certificate is not trusted",
    ),
    "a key that is none": (
        {"accessKey": "AKIANOBODY"},
        "storage.accessKey: the store does not know this key",
    ),
    "a secret of another key": (
        {"secret_key": "wrong"},
        "storage.secretKey: this is not the secret of the access key; "
        "fix: pulumi config set --path --secret storage.secretKey",
    ),
    "a bucket that is none": (
        {"bucket": "nobodys"},
        "storage.bucket = nobodys: there is no such bucket",
    ),
    "a bucket in the host name": (
        {"endpoint": "http://images.{spaces}"},
        "fix: pulumi config set --path storage.endpoint http://{spaces}",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_up_fails_within_a_minute_and_says_which_storage_setting_is_wrong(
    stack: Sandbox, versitygw: ExistingBucket, what: str
) -> None:
    names = {"spaces": versitygw.endpoint.removeprefix("http://"), "node": stack.layout.node_ip}
    setting, message = WRONG[what]
    use(stack, versitygw, **{key: value.format(**names) for key, value in setting.items()})
    start = time.monotonic()
    failed = stack.pulumi("up", "--yes", "--skip-preview", fails=True)
    assert time.monotonic() - start < 60, "a typing error must be reported soon"
    assert message.format(**names) in failed.stdout, failed.stdout[-3000:]
    deployment = stack.get("deployment", "registry", "--namespace=registry-s3")
    assert deployment["metadata"]["generation"] == 1, "the running registry must stay as it is"
    assert deployment["status"]["readyReplicas"] == 1


def test_another_server_keeps_them_with_the_bucket_in_the_hostname(
    stack: Sandbox, minio: ExistingBucket
) -> None:
    use(stack, minio, pathStyle=False, rootDirectory="")
    stack.pulumi("up", "--yes", "--skip-preview")
    stack.pulumi("preview", "--expect-no-changes")
    names = minio.names()
    assert names, "the smoke test pushes an image, and deletes its manifest only"
    assert all(name.startswith("docker/registry/v2/") for name in names), names


def checked(bucket: ExistingBucket, tmp_path: Path, *options: str, endpoint: str = "") -> Result:
    """Run the storage check from this machine."""
    key_file = tmp_path / "credentials"
    key_file.write_text(credentials_file(bucket.access_key, bucket.secret_key))
    return subprocess.run(
        [
            *(sys.executable, "-m", "scripts.check_storage", endpoint or bucket.endpoint),
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


def test_for_a_wrong_region_the_right_one_is_reported(
    sandbox: Sandbox, minio: ExistingBucket, tmp_path: Path
) -> None:
    endpoint = f"http://{sandbox.layout.cloud_ip}:{MINIO_PORT}"
    assert checked(minio, tmp_path, endpoint=endpoint).returncode == 0
    result = checked(minio, tmp_path, "--region=us-east-1", endpoint=endpoint)
    assert f"fix: pulumi config set --path storage.region {MINIO_REGION}" in result.stdout


def test_for_a_read_only_key_the_missing_permission_is_reported(
    sandbox: Sandbox, versitygw: ExistingBucket, tmp_path: Path
) -> None:
    key = f"spaces/keys/{versitygw.access_key}"
    for permission, message in (("read", "this key may not s3:PutObject"), ("readwrite", "works")):
        grants = [{"bucket": BUCKET, "permission": permission}]
        sandbox.api("PUT", key, {"name": "by-hand", "grants": grants})
        assert message in checked(versitygw, tmp_path).stdout


def test_a_public_bucket_is_refused(
    sandbox: Sandbox, minio: ExistingBucket, tmp_path: Path
) -> None:
    minio.owner.put_bucket_policy(
        Bucket=BUCKET,
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
        f'"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::{BUCKET}"}}]}}',
    )
    try:
        result = checked(minio, tmp_path, endpoint=f"http://{sandbox.layout.cloud_ip}:{MINIO_PORT}")
    finally:
        minio.owner.delete_bucket_policy(Bucket=BUCKET)
    assert "everybody may list it" in result.stdout
