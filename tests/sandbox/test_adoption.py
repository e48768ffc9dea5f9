"""A namespace that exists becomes the stack's own by `pulumi import`, and in no other way."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.sandbox.helpers import Sandbox, second_stack
from tests.sandbox.test_identity import within

BUCKET = {
    "kind": "s3",
    "endpoint": "http://127.0.0.1:9000",
    "bucket": "images",
    "accessKey": "x",
}
"""Nothing uses it here, and no token is needed with it."""


def test_a_namespace_of_others_is_taken_over_by_import_only(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'Error from server (Forbidden): no' >&2\nexit 1\n")
    kubectl.chmod(0o755)
    name = "registry-adopting"
    targets = [f"--target=**::{x}" for x in ("cluster-uid", "cluster", "registry-namespace")]
    with second_stack(sandbox, "adopting") as second:
        second.config(storage=BUCKET)
        second.pulumi("config", "set", "--path", "--secret", "storage.secretKey", stdin="x")
        second.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        before = second.get("namespace", name)["metadata"]
        blind = within(second, PATH=f"{tmp_path}:{second.environment['PATH']}")
        refused = blind.pulumi("up", "--yes", "--skip-preview", fails=True).stdout
        assert "expected a cluster that can be asked: Error from server (Forbidden): no" in refused
        refused = second.pulumi("up", "--yes", "--skip-preview", fails=True).stdout
        assert "this stack did not create it" in refused
        assert second.get("namespace", name)["metadata"] == before

        command = next(line for line in refused.splitlines() if "pulumi import" in line)
        second.run(*shlex.split(command), "--yes", "--generate-code=false")
        second.pulumi("up", "--yes", "--skip-preview", *targets)
        after = second.get("namespace", name)["metadata"]
        assert after["uid"] == before["uid"]
        assert after["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
