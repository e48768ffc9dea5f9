"""Files of a node: replaced in one step, or refused."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from scripts.nodes import node_files
from scripts.nodes.node_files import MAX_BYTES, Change, read, require_replaceable, write
from scripts.nodes.own_file import RefusedError
from tests.unit.scripts.nodes import K3S, Node, node

__all__ = ["node"]

PATH = Path(K3S) / "registries.yaml"


def replace(node: Node, content: bytes | None = b"new\n") -> None:
    change = Change(PATH, read(node.root, PATH), content)
    require_replaceable(node.root, PATH)
    write(node.root, change)


def test_a_new_file_is_for_root_only(node: Node) -> None:
    (node.root / K3S).rmdir()
    replace(node)
    assert node.registries.read_bytes() == b"new\n"
    assert node.registries.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_for_root_only_afterwards(node: Node) -> None:
    node.registries.write_bytes(b"old\n")
    node.registries.chmod(0o644)
    replace(node)
    assert node.registries.read_bytes() == b"new\n"
    assert node.registries.stat().st_mode & 0o777 == 0o600, "there is a password in it now"


def test_a_file_is_deleted(node: Node) -> None:
    node.registries.write_bytes(b"old\n")
    replace(node, None)
    assert not node.registries.exists()


def test_what_a_killed_run_left_is_in_nobodys_way(node: Node) -> None:
    (node.registries.parent / ".registries.yaml.new").write_bytes(b"half")
    replace(node)
    assert node.registries.read_bytes() == b"new\n"


def test_the_file_is_on_the_disk_before_it_has_its_name(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bytes]] = []

    def fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, path.read_bytes() if path.is_file() else b""))

    monkeypatch.setattr(os, "fsync", fsync)
    replace(node)
    assert synced == [(".registries.yaml.new", b"new\n"), ("k3s", b"")]


def test_a_change_in_the_last_moment_is_not_lost(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.registries.write_bytes(b"old\n")
    change = Change(PATH, b"old\n", b"new\n")
    prepare = node_files._prepare

    def meanwhile(new: Path, content: bytes) -> None:
        prepare(new, content)
        node.registries.write_bytes(b"theirs\n")

    monkeypatch.setattr(node_files, "_prepare", meanwhile)
    with pytest.raises(RefusedError, match="somebody changed it just now"):
        write(node.root, change)
    assert node.registries.read_bytes() == b"theirs\n"


def test_there_may_be_no_file(node: Node) -> None:
    assert read(node.root, PATH) is None


def make(kind: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make something that is not a plain file."""
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            # A socket's path has at most 107 bytes: https://man7.org/linux/man-pages/man7/unix.7.html
            monkeypatch.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)


@pytest.mark.parametrize("kind", ["folder", "pipe", "socket"])
def test_what_is_not_a_file_is_refused(
    node: Node, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(kind, node.registries, monkeypatch)
    with pytest.raises(RefusedError, match=r"^/etc/rancher/k3s/registries\.yaml: it is not a file"):
        read(node.root, PATH)


def test_a_large_file_is_not_read(node: Node) -> None:
    with node.registries.open("wb") as file:
        file.truncate(MAX_BYTES)
    assert read(node.root, PATH) == bytes(MAX_BYTES)
    with node.registries.open("ab") as file:
        file.write(b"x")
    with pytest.raises(RefusedError, match=f"it is larger than {MAX_BYTES} bytes"):
        read(node.root, PATH)


@pytest.mark.parametrize(
    "target", ["/nix/store/registries.yaml", "../../../nix/store/registries.yaml"]
)
def test_a_symbolic_link_is_read_as_the_node_does_and_not_replaced(node: Node, target: str) -> None:
    store = node.root / "nix" / "store"
    store.mkdir(parents=True)
    (store / "registries.yaml").write_bytes(b"theirs\n")
    node.registries.symlink_to(target)
    assert read(node.root, PATH) == b"theirs\n"
    with pytest.raises(RefusedError, match="it is a symbolic link, or behind one"):
        replace(node)
    assert node.registries.is_symlink()


def test_a_folder_that_is_a_link_is_not_followed_in_the_pod(node: Node) -> None:
    (node.root / K3S).rmdir()
    (node.root / "data").mkdir()
    (node.root / K3S).symlink_to("/data")
    (node.root / "data" / "registries.yaml").write_bytes(b"theirs\n")
    assert read(node.root, PATH) == b"theirs\n"
    with pytest.raises(RefusedError, match="it is a symbolic link, or behind one"):
        replace(node)


def test_a_link_that_leads_nowhere_is_refused(node: Node) -> None:
    node.registries.symlink_to("/nowhere")
    with pytest.raises(RefusedError, match="a symbolic link of it leads to no file"):
        read(node.root, PATH)


def test_a_command_runs_in_the_nodes_root_and_knows_that_it_is_no_real_chroot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[object] = []
    monkeypatch.setattr(os, "chroot", lambda path: (tmp_path / "entered").write_text(str(path)))
    monkeypatch.setattr(os, "chdir", entered.append)
    command = "echo $PATH $SYSTEMD_IGNORE_CHROOT; echo problem >&2; exit 3"
    result = node_files.on_node(tmp_path, "sh", "-c", command)
    assert result.returncode == 3
    assert re.fullmatch(rb".*/usr/bin.*/run/current-system/sw/bin 1\n", result.stdout)
    assert result.stderr == b"problem\n"
    assert (tmp_path / "entered").read_text() == str(tmp_path)
