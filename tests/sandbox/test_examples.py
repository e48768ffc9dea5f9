"""The example workflows for users, as far as they can be tried without GitHub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from sandbox.cloud import spaces
from tests.gate.workflows import ROOT
from tests.sandbox.helpers import Sandbox

BUCKET = "my-state"


def backend() -> str:
    """Return the URL of the state, which is the same in all workflows."""
    files = ROOT.glob("examples/github/*.yml")
    jobs = [job for x in files for job in yaml.safe_load(x.read_text())["jobs"].values()]
    (url,) = {job["env"]["PULUMI_BACKEND_URL"] for job in jobs}
    return str(url)


def test_a_space_keeps_the_state(sandbox: Sandbox, tmp_path: Path) -> None:
    s3, cloud = sandbox.s3(), spaces.secrets(sandbox.layout)
    url = backend().replace("https://nyc3.digitaloceanspaces.com", sandbox.s3_endpoint)
    assert urlsplit(url).netloc == BUCKET
    other = replace(sandbox, stack="state")
    other.environment.update(
        PULUMI_BACKEND_URL=url,
        AWS_ACCESS_KEY_ID=cloud.root_access_key,
        AWS_SECRET_ACCESS_KEY=cloud.root_secret_key,
    )
    (tmp_path / "Pulumi.yaml").write_text("{name: example, runtime: yaml}\n")
    s3.create_bucket(Bucket=BUCKET)
    try:
        other.pulumi("--cwd", str(tmp_path), "stack", "init", "state")
        assert "state" in other.pulumi("--cwd", str(tmp_path), "stack", "ls").stdout
    finally:
        for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=item["Key"])
        s3.delete_bucket(Bucket=BUCKET)
