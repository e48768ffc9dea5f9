"""The destruction of a registry: not by mistake, and then completely. Runs after all else."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.existing_buckets import empty
from tests.sandbox.helpers import Sandbox
from tests.sandbox.test_doctor import DRIFT, healthy


@pytest.fixture(scope="module")
def bucket(sandbox: Sandbox) -> str:
    """The Space that is about to be deleted."""
    return sandbox.bucket


def test_a_space_comes_back_that_was_deleted(sandbox: Sandbox) -> None:
    assert healthy(sandbox)
    before = sandbox.bucket
    empty(sandbox.s3(), before)
    assert "storage-bucket" in sandbox.pulumi(*DRIFT, fails=True).stdout
    sandbox.pulumi("refresh", "--yes", "--skip-preview")
    suffix = "**::storage-suffix"
    sandbox.pulumi("up", "--yes", "--skip-preview", f"--replace={suffix}")
    del sandbox.__dict__["bucket"]
    assert sandbox.bucket != before
    assert healthy(sandbox)


def test_destroy_refuses_while_there_are_images_and_leaves_the_registry_usable(
    sandbox: Sandbox,
) -> None:
    refused = sandbox.pulumi("destroy", "--yes", fails=True)
    assert "cannot be deleted" in refused.stdout
    assert "because it is protected" in refused.stdout
    assert sandbox.http("GET", "/v2/", login=True)[0] == 200
    sandbox.pulumi("up", "--yes", "--expect-no-changes")


@pytest.mark.usefixtures("bucket")
def test_destroy_with_force_leaves_nothing_in_cluster_and_cloud(sandbox: Sandbox) -> None:
    sandbox.config(storage__onDestroy="delete")
    sandbox.pulumi("up", "--yes", "--skip-preview")
    sandbox.pulumi("destroy", "--yes", "--skip-preview")
    namespaces = [item["metadata"]["name"] for item in sandbox.get("namespaces")["items"]]
    assert "registry" not in namespaces
    assert sandbox.s3().list_buckets()["Buckets"] == []
    assert sandbox.api("GET", "spaces/keys")["keys"] == []
    state = json.loads(sandbox.pulumi("stack", "export").stdout)
    assert not state["deployment"].get("resources")


def test_the_name_of_a_deleted_space_is_not_used_again(sandbox: Sandbox, bucket: str) -> None:
    sandbox.pulumi("up", "--yes", "--skip-preview")
    assert sandbox.pulumi("stack", "output", "storage_bucket").stdout.strip() != bucket, (
        "a deleted Space's name stays blocked"
    )
    sandbox.pulumi("destroy", "--yes", "--skip-preview")
