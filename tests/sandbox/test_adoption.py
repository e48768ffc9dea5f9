"""A namespace becomes the stack's own by `pulumi import`, a new cluster by forgetting the old."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from tests.sandbox.helpers import Sandbox, second_stack
from tests.sandbox.test_identity import changes, within

BUCKET = {
    "kind": "s3",
    "endpoint": "https://s3.example.com",
    "bucket": "images",
    "accessKey": "unused",
}
"""Nothing uses it here, and no token is needed with it."""

TARGETS = [f"--target=**::{x}" for x in ("cluster-uid", "record", "cluster", "registry-namespace")]


def test_a_namespace_of_others_is_taken_over_by_import_only(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho 'Error from server (Forbidden): no' >&2\nexit 1\n")
    kubectl.chmod(0o755)
    name = "registry-adopting"
    with second_stack(sandbox, "adopting") as second:
        second.config(**{f"storage__{key}": value for key, value in BUCKET.items()})
        second.pulumi("config", "set", "--path", "--secret", "storage.secretKey", stdin="unused")
        second.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        before = second.get("namespace", name)["metadata"]
        blind = within(second, PATH=f"{tmp_path}:{second.environment['PATH']}")
        refused = blind.pulumi("up", "--yes", "--skip-preview", fails=True).stdout
        assert "expected a cluster that can be asked: Error from server (Forbidden): no" in refused
        refused = second.pulumi("up", "--yes", "--skip-preview", fails=True).stdout
        assert "this stack did not create it" in refused
        assert second.get("namespace", name)["metadata"] == before

        command = next(line for line in refused.splitlines() if "pulumi import" in line)
        second.run(*shlex.split(command), "--yes")
        second.pulumi("up", "--yes", "--skip-preview", *TARGETS)
        after = second.get("namespace", name)["metadata"]
        assert after["uid"] == before["uid"]
        assert after["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_new_cluster_gets_the_registry_with_its_images_and_passwords(sandbox: Sandbox) -> None:
    secret = sandbox.get("secret", "registry-tls", "--namespace=registry")
    secret["metadata"] = {"name": "registry-tls", "namespace": "registry"}
    uid = sandbox.get("namespace", "kube-system")["metadata"]["uid"]
    state = sandbox.pulumi("stack", "export").stdout
    # As if the stack lived in a cluster that is gone, and this were a new one.
    sandbox.pulumi("stack", "import", stdin=state.replace(uid, "another-cluster"))
    # Its pods would drain for a minute.
    now = ("--namespace=registry", "--all", "--grace-period=0", "--force")
    sandbox.kubectl("delete", "deployments,pods", *now)
    sandbox.kubectl("delete", "namespace", "registry")
    sandbox.pulumi("up", "--yes", "--skip-preview", fails=True)

    urns = sandbox.pulumi("stack", "--show-urns").stdout.split()
    (urn,) = [word for word in urns if word.endswith("::cluster-uid")]
    forget = ("state", "delete", "--yes", "--target-dependents", urn)
    assert "protected" in sandbox.pulumi(*forget, fails=True).stderr, "the Space depends on it"
    sandbox.pulumi("refresh", "--yes", "--skip-preview")
    sandbox.pulumi(*forget)
    output = sandbox.pulumi("up", "--yes", "--skip-preview").stdout
    assert changes(output).keys() == {"created"}, output
    old, new = (
        {
            resource["urn"]: resource.get("id")
            for resource in json.loads(export)["deployment"]["resources"]
            if "digitalocean" in resource["type"] or "random" in resource["type"]
        }
        for export in (state, sandbox.pulumi("stack", "export").stdout)
    )
    assert new == old, "Space, keys and passwords stay"
    sandbox.apply(secret)
