"""A stand-in for a node: a folder for its root, and the commands that are run in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.nodes import configure_node, k3s_options, node_files
from scripts.nodes.configure_node import Wanted
from scripts.nodes.own_file import new_file
from tests.unit.scripts.leases import Leases, lock

K3S = "etc/rancher/k3s"
OWNER = "registry-nodes"
DONE = "k3s is back, and this node is configured"
ALREADY = "this node is configured already"

ENTRIES: dict[str, Any] = {
    "mirrors": {"example.com": {"endpoint": ["https://registry.example.com"]}},
    "configs": {
        "registry.example.com": {
            "auth": {"username": "pull", "password": "0123"},
            "tls": {"ca_file": "/etc/ssl/ca.pem"},
        }
    },
}
"""What the file must hold; the password is one that YAML takes for a number."""

WANTED = new_file(ENTRIES, OWNER).encode()

EVERYDAY = b"""\
# ours since 2023
mirrors:
  "*":
  quay.io: &quay
    endpoint: [https://quay-mirror.example.net]
configs:
  registry.example.com:
    auth: {username: admin, password: s3cr3t}
"""

OPERATORS = {
    "everyday": EVERYDAY,
    "everyday, Windows": EVERYDAY.replace(b"\n", b"\r\n"),
    "a comment": b"# nothing yet",
    "a part of it": b"mirrors:\n  example.com:\n    endpoint: [https://registry.example.com]\n",
    "another registry's": new_file(ENTRIES["configs"], f"{OWNER}-2").encode(),
    "no mapping": b"- a\n",
    "a text": b"hello\n",
    "a null in between": b"configs: ~\n",
    "two documents": b"mirrors:\n---\nmirrors:\n",
    "a tab": b"mirrors:\n\ta: {}\n",
    "an unknown alias": b"configs:\n  a: *s3cr3t\n",
    "a key that is a list": b"? [a]\n: b\n",
    "a control character": b"mirrors:\0",
    "depths": b"[" * 1500,
    "Latin-1": "# für uns\n".encode("latin-1"),
    "UTF-16": "mirrors:\n".encode("utf-16"),
}
"""Files that operators have as a node's registries.yaml."""


class Node:
    """A node with k3s.

    Attributes:
        root: Its root.
        unit: The unit that is active.
        error: What systemctl says to a restart that fails; empty if it succeeds.
        flags: The unit's flags of k3s.
        environment: Lines of `systemctl show` about the unit's environment.
        reads: The file that k3s takes its registries from when it starts; empty if from none.
        data: Its data folder.
        commands: What was run on it, but for questions.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.unit, self.error = root, "k3s", ""
        self.flags, self.environment = "", ""
        self.reads, self.data = f"{K3S}/registries.yaml", "var/lib/rancher/k3s"
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
        if command[0] == "cat":
            path = self._resolve(command[1])
            content = path.read_bytes() if path.is_file() else b""
            return subprocess.CompletedProcess([], not path.is_file(), content)
        verb, *_, unit = command[1:]
        if verb == "is-active":
            return subprocess.CompletedProcess([], unit != self.unit)
        assert unit == self.unit
        if verb == "show":
            return subprocess.CompletedProcess([], 0, self._shown().encode())
        self.commands.append(" ".join(command))
        if not self.error:
            self.start()
        return subprocess.CompletedProcess([], self.error != "", b"", f"{self.error}\n".encode())

    def _shown(self) -> str:
        """Return what systemd has of a unit as k3s' installer writes it.

        https://github.com/systemd/systemd/blob/main/src/systemctl/systemctl-show.c
        """
        return (
            f"ExecStart={{ path=/usr/local/bin/k3s ; argv[]=/usr/local/bin/k3s server {self.flags} "
            "; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 ; code=(null) ; "
            f"status=0/0 }}\n{self.environment}"
            "EnvironmentFiles=/etc/default/k3s (ignore_errors=yes)\n"
            "EnvironmentFiles=/etc/systemd/system/k3s.service.env (ignore_errors=yes)\n"
        )

    def start(self) -> None:
        """Give containerd what k3s gives it when it starts."""
        file = self._resolve(f"/{self.reads}")
        content = (yaml.safe_load(file.read_text()) if file.is_file() else None) or {}
        folder = self.root / self.data / "agent" / "etc" / "containerd"
        folder.mkdir(parents=True, exist_ok=True)
        logins = (
            [f'password = "{x["auth"]["password"]}"\n' for x in content["configs"].values()]
            if "configs" in content
            else []
        )
        (folder / "config.toml").write_text("".join(logins))
        for host, mirror in content.get("mirrors", {}).items():
            hosts = folder / "certs.d" / host / "hosts.toml"
            hosts.parent.mkdir(parents=True, exist_ok=True)
            hosts.write_text("".join(f'[host."{x}/v2"]\n' for x in mirror["endpoint"]))

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
    for module in configure_node, k3s_options, node_files:
        monkeypatch.setattr(module, "on_node", node.run)
    yield node
    assert not list(node.root.rglob(".*.new")), "a file that was not taken away"


class Runs:
    """Runs of the script on one node."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node, self.folder = node, folder

    def __call__(self, wanted: bytes | None = WANTED, *, only_mirrors: bool = False) -> str:
        told = k3s_options.told(self.node.root)
        files = Wanted(wanted, OWNER, only_mirrors)
        return configure_node.configure(self.node.root, told, files, lock(self.folder))


@pytest.fixture
def run(node: Node, leases: Leases, tmp_path: Path) -> Runs:
    assert leases.free
    return Runs(node, tmp_path)
