"""The copy somewhere else, by the commands of docs/backup.md."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sandbox.crane import logged_in
from tests.sandbox.existing_buckets import BUCKET, MINIO_PORT, ExistingBucket
from tests.sandbox.helpers import ROOT, Sandbox, eventually, second_stack
from tests.sandbox.maintenance import ends
from tests.sandbox.rclone import BLOCK
from tests.sandbox.test_moves import stack_with_a_space

SELECTOR = "--selector=app.kubernetes.io/component=backup"


def documented(stack: Sandbox, command: str, bucket: ExistingBucket, namespace: str) -> None:
    """Run the block of the documentation with this command, with the values of a stack."""
    (block,) = (x for x in BLOCK.findall((ROOT / "docs" / "backup.md").read_text()) if command in x)
    for old, new in (
        # The stack is there, with the sandbox's own hostname, namespace and images.
        (r"pulumi stack init .*\n|pulumi config set hostname .*\n", ""),
        ("https://s3.eu-central-1.amazonaws.com", bucket.endpoint),
        ("eu-central-1", bucket.region),
        ("my-copies", BUCKET),
        (r"AKIA\.\.\.", bucket.access_key),
        ("--namespace registry ", f"--namespace {namespace} "),
        ("pulumi up\n", "pulumi up --yes --skip-preview < /dev/null\n"),
    ):
        block = re.sub(old, new, block)
    stack.run("sh", "-ec", block, stdin=bucket.secret_key)


@pytest.mark.long
def test_another_stack_serves_the_copy_when_the_bucket_is_lost(
    sandbox: Sandbox, minio: ExistingBucket, tmp_path: Path
) -> None:
    by_path = replace(minio, endpoint=f"http://{sandbox.layout.cloud_ip}:{MINIO_PORT}")
    namespace = "registry-lost"
    digests: dict[str, str] = {}
    with stack_with_a_space(sandbox, "lost", "delete") as stack:
        # Nobody made a certificate for this hostname.
        stack.config(tls__mode="none")
        stack.pulumi("up", "--yes", "--skip-preview")
        wrong = replace(by_path, secret_key="wrong")
        with pytest.raises(AssertionError, match=r"backup\.secretKey: this is not the secret"):
            documented(stack, "backup.endpoint", wrong, namespace)
        hostname = f"lost.{sandbox.layout.domain}"
        crane = logged_in(stack, hostname, tmp_path / "lost", stack.password)
        for image in ("team/app:1", "team/app:2", "base:latest"):
            crane.push(image)
            digests[image] = crane.run("digest", f"{hostname}/{image}").stdout.strip()
        documented(stack, "backup.endpoint", by_path, namespace)

        def good() -> bool:
            jobs = stack.get("jobs", f"--namespace={namespace}", SELECTOR)["items"]
            return ["Complete"] in [[*{"Complete"} & ends(job)] for job in jobs]

        eventually("there is a copy", good, 180)
        assert "last good copy: " in stack.pulumi("up", "--yes", "--skip-preview").stdout
        with second_stack(sandbox, "restored") as restored:
            objects = sandbox.s3().list_objects_v2(Bucket=stack.bucket)["Contents"]
            for each in objects:
                sandbox.s3().delete_object(Bucket=stack.bucket, Key=each["Key"])
            crane.run("pull", f"{hostname}/team/app:1", str(tmp_path / "gone.tar"), fails=True)
            restored.config(tls__mode="none")
            documented(restored, "storage.endpoint", by_path, "registry-restored")
            there = logged_in(
                restored,
                f"restored.{sandbox.layout.domain}",
                tmp_path / "restored",
                restored.password,
            )
            for image, digest in digests.items():
                repository = image.partition(":")[0]
                there.pull(image)
                there.pull(f"{repository}@{digest}")
            there.push("team/app:3")
