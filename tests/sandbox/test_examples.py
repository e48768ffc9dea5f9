"""The example workflows for users, as far as they can be tried without GitHub and GitLab."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from sandbox.cloud import spaces
from tests.gate.workflows import PIPELINE, ROOT
from tests.sandbox.helpers import Result, Sandbox

BUCKET = "my-state"


def github(workflow: str) -> dict[str, Any]:
    """Return the one job of a workflow."""
    document = yaml.safe_load((ROOT / "examples/github" / f"{workflow}.yml").read_text())
    (job,) = document["jobs"].values()
    return dict(job)


def backend() -> str:
    """Return the URL of the state, which is the same in all examples."""
    urls = {github(name)["env"]["PULUMI_BACKEND_URL"] for name in ("preview", "up", "drift")}
    urls.add(yaml.safe_load(PIPELINE.read_text())["variables"]["PULUMI_BACKEND_URL"])
    (url,) = urls
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


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a folder with the program in which a job may write files."""
    for path in ROOT.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def run(sandbox: Sandbox, checkout: Path, script: str) -> Result:
    """Run a job's script as GitLab's runner and GitHub's do."""
    return subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=checkout,
        env=sandbox.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_the_jobs_of_gitlab_preview_and_update(sandbox: Sandbox, checkout: Path) -> None:
    jobs = yaml.safe_load(PIPELINE.read_text())
    preview, up = (run(sandbox, checkout, "\n".join(jobs[x]["script"])) for x in ("preview", "up"))
    assert preview.returncode == 0, preview.stdout
    assert (checkout / "preview.txt").read_text() == preview.stdout
    assert "unchanged" in preview.stdout
    assert up.returncode == 0, up.stdout
    assert "unchanged" in up.stdout


def test_the_jobs_that_look_for_drift_fail_only_if_there_is_one(
    sandbox: Sandbox, checkout: Path
) -> None:
    gitlab = "\n".join(yaml.safe_load(PIPELINE.read_text())["drift"]["script"])
    hub = github("drift")["steps"][-1]["run"].replace("--stack organization/k3s-registry/prod", "")
    service = ("service/registry", "--namespace=registry")
    for script in (gitlab, hub):
        same = run(sandbox, checkout, script)
        assert same.returncode == 0, same.stdout
        assert "no drift" in same.stdout
    sandbox.run("kubectl", "label", *service, "app.kubernetes.io/component=edited", "--overwrite")
    try:
        for script in (gitlab, hub):
            drift = run(sandbox, checkout, script)
            assert drift.returncode == 7, drift.stdout
            assert "drift: run pulumi refresh" in drift.stdout
    finally:
        sandbox.pulumi("up", "--refresh", "--yes", "--skip-preview")
