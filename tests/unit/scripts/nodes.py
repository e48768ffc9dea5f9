"""A stand-in for a node: a folder for its root, and the commands that are run in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.nodes import configure_node, node_files
from tests.unit.scripts.leases import Leases, lock
from tests.unit.scripts.odd_files import ENTRIES

K3S = "etc/rancher/k3s"
OWNER = "registry-nodes"
DONE = "k3s is back, and this node is configured"
ALREADY = "this node is configured already"


class Node:
    """A node with k3s.

    Attributes:
        root: Its root.
        unit: The unit that is active.
        error: What systemctl says to a restart that fails; empty if it succeeds.
        commands: What was run on it.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.unit, self.error = root, "k3s", ""
        self.commands: list[str] = []
        (root / K3S).mkdir(parents=True)

    @property
    def restarts(self) -> int:
        return self.commands.count(f"systemctl restart {self.unit}")

    @property
    def registries(self) -> Path:
        return self.root / K3S / "registries.yaml"

    def files(self) -> list[str]:
        """Return what files are in the folder of k3s."""
        folder = self.root / K3S
        return sorted(str(x.relative_to(folder)) for x in folder.rglob("*") if not x.is_dir())

    def run(self, node: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
        assert node == self.root
        self.commands.append(" ".join(command))
        if command[0] == "cat":
            path = self._resolve(command[1])
            content = path.read_bytes() if path.is_file() else b""
            return subprocess.CompletedProcess([], not path.is_file(), content)
        _, verb, unit = command
        failed = unit != self.unit or (verb == "restart" and self.error != "")
        return subprocess.CompletedProcess([], failed, b"", f"{self.error}\n".encode())

    def _resolve(self, path: str) -> Path:
        """Follow links as the node does, whose root is not ours."""
        current = self.root
        for part in Path(path).parts[1:]:
            current /= part
            while current.is_symlink():
                target = current.readlink()
                inside = target.relative_to("/") if target.is_absolute() else target
                current = (self.root if target.is_absolute() else current.parent) / inside
        return current


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    node = Node(tmp_path / "node")
    for module in configure_node, node_files:
        monkeypatch.setattr(module, "on_node", node.run)
    yield node
    assert not list(node.root.rglob(".*.new")), "a file that was not taken away"


class Runs:
    """Runs of the script on one node."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self.folder = node, folder

    def __call__(self, entries: dict[str, Any] = ENTRIES, *, only_mirrors: bool = False) -> str:
        lease = lock(self.folder)
        return configure_node.configure(
            self.node.root, entries, OWNER, lease, only_mirrors=only_mirrors
        )


@pytest.fixture
def run(node: Node, leases: Leases, tmp_path: Path) -> Runs:
    assert leases.free
    return Runs(node, tmp_path)
