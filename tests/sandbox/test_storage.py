"""Existing buckets, on two S3 servers; and what `up` says of those that cannot be used."""

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
from tests.sandbox.helpers import ROOT, Done, Sandbox, eventually, second_stack

BUCKET = "images"
MINIO_PORT = 9000
MINIO_REGION = "eu-central-1"
MINIO_DOMAIN = "minio.svc.cluster.local"
"""A bucket is a Service of that namespace: so pods find its host name without DNS of our own."""


@dataclass(frozen=True)
class Place:
    """A bucket that somebody made by hand, and the key to it."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    owner: Any

    def names(self) -> list[str]:
        pages = self.owner.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


@pytest.fixture(scope="module")
def versitygw(sandbox: Sandbox) -> Iterator[Place]:
    """The sandbox's S3 server."""
    owner = sandbox.s3()
    owner.create_bucket(Bucket=BUCKET)
    grants = [{"bucket": BUCKET, "permission": "readwrite"}]
    key = sandbox.api("POST", "spaces/keys", {"name": "by-hand", "grants": grants})["key"]
    endpoint = sandbox.layout.spaces_endpoint.replace("{{.Region}}", REGION)
    place = Place(endpoint, REGION, key["access_key"], key["secret_key"], owner)
    yield place
    sandbox.api("DELETE", f"spaces/keys/{place.access_key}")
    for name in place.names():
        owner.delete_object(Bucket=BUCKET, Key=name)
    owner.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def minio(sandbox: Sandbox) -> Iterator[Place]:
    """MinIO, which runs for these tests only, among the cloud's stand-ins."""
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
        eventually("MinIO listens", lambda: answers(owner), 30)
        owner.create_bucket(Bucket=BUCKET)
        serve_as_a_host_name(sandbox)
        yield Place(
            f"http://{MINIO_DOMAIN}:{MINIO_PORT}", MINIO_REGION, access_key, secret_key, owner
        )
    finally:
        # nsenter waits for its child, and would leave it behind.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        sandbox.kubectl("delete", "namespace", "minio", "--ignore-not-found", "--wait=false")


def answers(owner: Any) -> bool:
    try:
        owner.list_buckets()
    except (BotoCoreError, ClientError):
        return False
    return True


def serve_as_a_host_name(sandbox: Sandbox) -> None:
    """Make ``<bucket>.minio.svc.cluster.local`` lead to MinIO."""
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
    """A stack whose images are to be kept in a bucket that exists."""
    with second_stack(sandbox, "s3") as second:
        yield second


def use(stack: Sandbox, place: Place, *, secret_key: str = "", **other: Any) -> None:
    """Set all that there is to say of a store."""
    given = {
        "kind": "s3",
        "endpoint": place.endpoint,
        "region": place.region,
        "bucket": BUCKET,
        "accessKey": place.access_key,
        **other,
    }
    stack.config(**{f"storage__{key}": value for key, value in given.items()})
    stack.pulumi("config", "set", "--path", "--secret", "storage.secretKey",
                 given=secret_key or place.secret_key)  # fmt: skip


def test_an_existing_bucket_keeps_the_images_in_the_folder_that_was_asked_for(
    stack: Sandbox, versitygw: Place
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
def test_up_fails_within_a_minute_and_says_which_setting_of_the_store_is_wrong(
    stack: Sandbox, versitygw: Place, what: str
) -> None:
    names = {"spaces": versitygw.endpoint.removeprefix("http://"), "node": stack.layout.node_ip}
    setting, said = WRONG[what]
    use(stack, versitygw, **{key: value.format(**names) for key, value in setting.items()})
    start = time.monotonic()
    failed = stack.pulumi("up", "--yes", "--skip-preview", fails=True)
    assert time.monotonic() - start < 60, "nobody should wait for a typing error to be told"
    assert said.format(**names) in failed.stdout, failed.stdout[-3000:]
    deployment = stack.get("deployment", "registry", "--namespace=registry-s3")
    assert deployment["metadata"]["generation"] == 1, "a registry that runs must not get this"
    assert deployment["status"]["readyReplicas"] == 1


def test_another_server_keeps_them_with_the_bucket_in_its_host_name(
    stack: Sandbox, minio: Place
) -> None:
    use(stack, minio, pathStyle=False, rootDirectory="")
    stack.pulumi("up", "--yes", "--skip-preview")
    stack.pulumi("preview", "--expect-no-changes")
    names = minio.names()
    assert names, "the smoke test pushes an image, and deletes its manifest only"
    assert all(name.startswith("docker/registry/v2/") for name in names), names


def checked(place: Place, tmp_path: Path, *options: str, endpoint: str = "") -> Done:
    """Run the storage check from this machine."""
    key_file = tmp_path / "credentials"
    key_file.write_text(credentials_file(place.access_key, place.secret_key))
    return subprocess.run(
        [
            *(sys.executable, "-m", "scripts.check_storage", endpoint or place.endpoint),
            *(f"--region={place.region}", f"--bucket={BUCKET}", f"--key-file={key_file}", *options),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wrong_region_is_told_with_the_right_one(
    sandbox: Sandbox, minio: Place, tmp_path: Path
) -> None:
    endpoint = f"http://{sandbox.layout.cloud_ip}:{MINIO_PORT}"
    assert checked(minio, tmp_path, endpoint=endpoint).returncode == 0
    done = checked(minio, tmp_path, "--region=us-east-1", endpoint=endpoint)
    assert f"fix: pulumi config set --path storage.region {MINIO_REGION}" in done.stdout


def test_a_key_that_may_only_read_is_told_what_it_may_not(
    sandbox: Sandbox, versitygw: Place, tmp_path: Path
) -> None:
    key = f"spaces/keys/{versitygw.access_key}"
    for permission, said in (("read", "this key may not s3:PutObject"), ("readwrite", "works")):
        grants = [{"bucket": BUCKET, "permission": permission}]
        sandbox.api("PUT", key, {"name": "by-hand", "grants": grants})
        assert said in checked(versitygw, tmp_path).stdout


def test_a_bucket_that_everybody_can_list_is_refused(
    sandbox: Sandbox, minio: Place, tmp_path: Path
) -> None:
    minio.owner.put_bucket_policy(
        Bucket=BUCKET,
        Policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", '
        f'"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::{BUCKET}"}}]}}',
    )
    try:
        done = checked(minio, tmp_path, endpoint=f"http://{sandbox.layout.cloud_ip}:{MINIO_PORT}")
    finally:
        minio.owner.delete_bucket_policy(Bucket=BUCKET)
    assert "everybody may list it" in done.stdout
