"""What the tests of nodes and namespaces that pull have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.nodes.configurator import LEASE, LEASE_NAMESPACE
from sandbox.build import images
from sandbox.enclosure import enclosure
from sandbox.layout import Node
from tests.sandbox.helpers import Result, Sandbox

REFUSED = {"ErrImagePull", "ImagePullBackOff"}

FILE = "/etc/rancher/k3s/registries.yaml"

PATH = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of a root shell on a node."""


def on_node(sandbox: Sandbox, command: str, stdin: str = "", node: Node | None = None) -> Result:
    """Run a command in a root shell of a node, by default the first one."""
    shell = ["env", f"PATH={PATH}", "sh", "-ec", command]
    return sandbox.run(*enclosure.enter(node or sandbox.layout.node), *shell, stdin=stdin)


def hold_lease(sandbox: Sandbox, node: str) -> None:
    """Let a node hold the lock of those that restart, even if somebody deletes it."""
    metadata = {"name": LEASE, "namespace": LEASE_NAMESPACE, "finalizers": ["k3s-registry/held"]}
    sandbox.apply(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {"holderIdentity": f"{node}/registry-nodes"},
        }
    )


def up(sandbox: Sandbox) -> None:
    sandbox.pulumi("up", "--yes", "--skip-preview")


def output(sandbox: Sandbox, name: str) -> str:
    return sandbox.pulumi("stack", "output", name, "--show-secrets").stdout.rstrip("\n") + "\n"


def parsed(sandbox: Sandbox, file: Path) -> dict[str, dict[str, Any]]:
    """Parse a registries.yaml with k3s's own parser; leave out empty values, which it adds."""

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if inner not in ("", None)}
        return value

    content = json.loads(sandbox.run("registries-check", file).stdout)
    return {name: {k: strip(v) for k, v in (content[name] or {}).items()}
            for name in ("mirrors", "configs")}  # fmt: skip


@pytest.fixture(scope="module")
def pulling(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A mirror prefix for nodes, a pull Secret for one namespace, and an image for both."""
    auth = tmp_path_factory.mktemp("login") / "auth.json"
    sandbox.run("sh", "-c", f"{output(sandbox, 'login').strip()} --authfile {auth}")
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    target = f"docker://{sandbox.registry}/containous/whoami:private"
    sandbox.run("skopeo", "copy", f"--authfile={auth}", source, target)
    sandbox.kubectl("create", "namespace", "team")
    sandbox.config(
        nodes__mirrorPrefix="example.com",
        nodes__caFile=str(sandbox.layout.pki / "ca.crt"),
        pullSecrets__defaultServiceAccount=True,
        **{"pullSecrets__namespaces[0]": "team"},
    )
    try:
        up(sandbox)
        yield
    finally:
        sandbox.kubectl("delete", "pods", "--all", "--wait=false")
        sandbox.pulumi("config", "rm", "nodes")
        sandbox.pulumi("config", "rm", "pullSecrets")
        up(sandbox)
        sandbox.kubectl("delete", "namespace", "team")
        on_node(sandbox, "rm -rf /etc/rancher/k3s; systemctl restart k3s")
