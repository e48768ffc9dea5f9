"""configure_node.py as the pod calls it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.nodes import configure_node
from scripts.nodes.lease import LeaseError
from scripts.shared.api_server import ApiServerError
from tests.unit.scripts.leases import Leases, leases, lock
from tests.unit.scripts.nodes import EVERYDAY, WANTED, Node, node

__all__ = ["leases", "node"]


class Command:
    """The command in a pod on the node."""

    def __init__(self, node: Node, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.node, self.folder, self.monkeypatch = node, folder, monkeypatch
        monkeypatch.setenv("NODE_NAME", "node-a")
        (folder / "registries.yaml").write_bytes(WANTED)
        lock(folder)

    def __call__(self, *args: str) -> int:
        arguments = [
            *("configure_node.py", str(self.folder / "registries.yaml")),
            *(f"--node={self.node.root}", "--owner=registry-nodes", "--lease=kube-system/lock"),
            *(f"--credentials={self.folder}", *args),
        ]
        self.monkeypatch.setattr(sys, "argv", arguments)
        return configure_node.main()


@pytest.fixture
def command(node: Node, leases: Leases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    assert leases.free
    return Command(node, tmp_path, monkeypatch)


def test_a_node_is_configured_and_its_entries_are_removed_again(
    node: Node, leases: Leases, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--only-mirrors") == 0
    assert node.files() == [
        "config.yaml.d/90-registry-nodes.yaml",
        "registries.yaml",
    ]
    assert leases.calls == ["POST", "GET", "DELETE", "PATCH"]
    assert capsys.readouterr().out.splitlines() == [
        "wrote /etc/rancher/k3s/config.yaml.d/90-registry-nodes.yaml",
        "wrote /etc/rancher/k3s/registries.yaml",
        "restarting k3s",
        "k3s is back, and this node is configured",
    ]
    assert command("--only-mirrors", "--remove") == 0
    assert not node.files()


def test_the_holder_is_the_node_and_the_registry(
    node: Node, leases: Leases, command: Command
) -> None:
    node.error = "no"
    assert command() == 1
    assert leases.held
    assert leases.held["spec"]["holderIdentity"] == "node-a/registry-nodes"


def test_a_refusal_says_what_to_write_by_hand_without_the_password(
    node: Node, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    node.registries.write_bytes(EVERYDAY)
    assert command("--only-mirrors") == 1
    output = capsys.readouterr().out
    assert (
        output
        == """\
FAILED: /etc/rancher/k3s/registries.yaml: somebody else wrote or changed it, and k3s reads no \
other: add what is missing, and delete the first line if it says `Written by Pulumi`
by hand, /etc/rancher/k3s/registries.yaml must hold:
mirrors:
  example.com:
    endpoint:
    - https://registry.example.com
configs:
  registry.example.com:
    auth:
      username: pull
      password: PASSWORD
    tls:
      ca_file: /etc/ssl/ca.pem
and /etc/rancher/k3s/config.yaml.d/90-registry-nodes.yaml:
disable-default-registry-endpoint: true
PASSWORD: pulumi stack output pull_password --show-secrets
then: systemctl restart k3s, on agents k3s-agent
"""
    )
    assert command() == 1
    assert "90-registry-nodes.yaml" not in capsys.readouterr().out
    assert len(output) < 2048, "what of it is a pod's termination message"


def test_a_removal_that_is_refused_says_what_to_delete(
    node: Node, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    node.registries.write_bytes(WANTED + b"# mine\n")
    assert command("--remove") == 1
    assert capsys.readouterr().out == (
        "FAILED: /etc/rancher/k3s/registries.yaml: somebody changed it\n"
        "by hand: delete what they have of this registry: /etc/rancher/k3s/registries.yaml, "
        "/etc/rancher/k3s/config.yaml.d/90-registry-nodes.yaml\n"
    )


def test_a_file_that_cannot_be_written_is_to_be_written_by_hand(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(configure_node, "write", fail)
    assert command() == 1
    assert "by hand, /etc/rancher/k3s/registries.yaml must hold" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error",
    [configure_node.ConfigureError("no"), ApiServerError("no"), LeaseError("no"),
     subprocess.TimeoutExpired("systemctl", 300)],
)  # fmt: skip
def test_an_error_is_one_line(
    command: Command,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(configure_node, "restart", fail)
    assert command() == 1
    assert capsys.readouterr().out.endswith(f"restarting k3s\nFAILED: {error}\n")
