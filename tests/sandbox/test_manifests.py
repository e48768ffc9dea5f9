"""The API server takes every object of the program, strictly: no field that it does not know."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox.helpers import Sandbox


def objects(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return what the program asks the API server for, secrets included."""
    state = json.loads(sandbox.pulumi("stack", "export", "--show-secrets").stdout)
    inputs = [
        plain(resource["inputs"])
        for resource in state["deployment"]["resources"]
        if resource["type"].startswith("kubernetes:") and not resource["type"].endswith("Patch")
    ]
    return [{key: x for key, x in item.items() if not key.startswith("__")} for item in inputs]


def plain(value: Any) -> Any:
    """Return a value of an exported state without the marks of secrets."""
    if isinstance(value, dict):
        if "plaintext" in value:
            return plain(json.loads(value["plaintext"]))
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def dry_run(sandbox: Sandbox, items: list[dict[str, Any]], *, fails: bool = False) -> str:
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    result = sandbox.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--field-manager=dry-run"),
        *("--dry-run=server", "--validate=strict", "--filename=-"),
        stdin=listed,
        fails=fails,
    )
    return result.stdout + result.stderr


def test_a_strict_dry_run_takes_every_object(sandbox: Sandbox) -> None:
    items = objects(sandbox)
    kinds = {item["kind"] for item in items}
    assert {"Deployment", "Job", "NetworkPolicy", "Secret", "Ingress", "IngressRouteTCP"} <= kinds
    output = dry_run(sandbox, items)
    assert output.count("serverside-applied (server dry run)") == len(items)


def test_a_strict_dry_run_refuses_a_field_that_does_not_exist(sandbox: Sandbox) -> None:
    (deployment,) = [item for item in objects(sandbox) if item["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["restartPolicies"] = "Always"
    assert "restartPolicies" in dry_run(sandbox, [deployment], fails=True)
