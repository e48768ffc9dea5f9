"""Existing buckets on two S3 servers, and the errors of `up` for those that cannot be used."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.build import images
from tests.sandbox.existing_buckets import (
    BUCKET,
    MINIO_PORT,
    MINIO_REGION,
    ExistingBucket,
    checked,
    use,
)
from tests.sandbox.helpers import Sandbox, second_stack


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox) -> Iterator[Sandbox]:
    """A stack for storage in an existing bucket."""
    with second_stack(sandbox, "s3") as second:
        yield second


def test_an_existing_bucket_keeps_the_images_in_the_configured_folder(
    stack: Sandbox, versitygw: ExistingBucket
) -> None:
    use(stack, versitygw, rootDirectory="k3s/images")
    stack.pulumi("up", "--yes", "--skip-preview")
    stack.pulumi("preview", "--expect-no-changes")
    stack.pulumi("refresh", "--yes", "--expect-no-changes")
    names = versitygw.images()
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
        "storage.accessKey: the storage does not know this key",
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
    names = minio.images()
    assert names, "the smoke test pushes an image, and deletes its manifest only"
    assert all(name.startswith("docker/registry/v2/") for name in names), names


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


def test_storage_behind_a_service_whose_port_is_not_its_pods(
    sandbox: Sandbox, stack: Sandbox, versitygw: ExistingBucket
) -> None:
    server = versitygw.endpoint.removeprefix("http://")
    script = f"""
import socket, threading
def pass_on(source, target):
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
listener = socket.create_server(("", 9000))
while True:
    client, _ = listener.accept()
    upstream = socket.create_connection({tuple(server.split(":"))!r})
    for pair in ((client, upstream), (upstream, client)):
        threading.Thread(target=pass_on, args=pair).start()
"""
    meta = {"name": "s3", "namespace": "storage", "labels": {"app": "s3"}}
    container = {"name": "s3", "image": images.PYTHON, "command": ["python3", "-c", script]}
    port = {"port": 80, "targetPort": 9000}
    sandbox.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "storage"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": {"app": "s3"}, "ports": [port]},
        },
    )
    sandbox.kubectl("wait", "--namespace=storage", "--for=condition=Ready", "pod/s3")
    try:
        service = replace(versitygw, endpoint="http://s3.storage.svc")
        use(stack, service, pathStyle=True, rootDirectory="service")
        stack.pulumi("up", "--yes", "--skip-preview")
    finally:
        sandbox.kubectl("delete", "namespace", "storage", "--wait=false")
