"""What configure_node.py does to a node's files, and when it restarts k3s."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from scripts.nodes import k3s_options
from scripts.nodes.configure_node import (
    DROP_INS,
    ONLY_MIRRORS,
    ConfigureError,
    only_mirrors_file,
)
from scripts.nodes.own_file import RefusedError, new_file
from tests.unit.scripts.leases import Leases, leases
from tests.unit.scripts.nodes import (
    ALREADY,
    DONE,
    ENTRIES,
    K3S,
    OPERATORS,
    OWNER,
    WANTED,
    Node,
    Runs,
    node,
    run,
)

__all__ = ["leases", "node", "run"]

OTHER = new_file(
    {"configs": {"registry.example.com": {"auth": {"username": "pull", "password": "new"}}}}, OWNER
).encode()


def test_a_new_node_gets_the_file_and_k3s_is_restarted(
    node: Node, leases: Leases, run: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == DONE
    assert node.registries.read_bytes() == WANTED
    assert node.commands == ["systemctl restart k3s"]
    assert leases.free, "or the next node would wait for ever"
    assert node.files() == ["registries.yaml"]
    assert capsys.readouterr().out == ("wrote /etc/rancher/k3s/registries.yaml\nrestarting k3s\n")


def test_a_node_without_a_folder_for_k3s_gets_one(node: Node, run: Runs) -> None:
    (node.root / K3S).rmdir()
    assert run() == DONE


def test_the_unit_of_an_agent_is_restarted_on_an_agent(node: Node, run: Runs) -> None:
    node.unit = "k3s-agent"
    assert run() == "k3s-agent is back, and this node is configured"
    assert node.commands[-1] == "systemctl restart k3s-agent"


def test_nothing_is_touched_where_k3s_does_not_run(node: Node, leases: Leases, run: Runs) -> None:
    node.unit = "docker"
    with pytest.raises(ConfigureError, match="none of the systemd units k3s, k3s-agent is active"):
        run()
    assert not node.files()
    assert not leases.calls


def test_nothing_is_touched_where_there_is_no_systemd(
    node: Node, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory", "systemctl")

    monkeypatch.setattr(k3s_options, "on_node", missing)
    with pytest.raises(ConfigureError, match="none of the systemd units k3s, k3s-agent is active"):
        run()
    assert not node.files()


def test_a_configured_node_is_left_alone(node: Node, leases: Leases, run: Runs) -> None:
    run(only_mirrors=True)
    node.commands.clear()
    leases.calls.clear()
    assert run(only_mirrors=True) == ALREADY
    assert (node.commands, leases.calls) == ([], [])


def test_lines_of_the_operators_are_no_reason_to_restart(node: Node, run: Runs) -> None:
    run()
    node.registries.write_text(f"{node.registries.read_text()}# news\n")
    assert run() == ALREADY
    assert node.restarts == 1


def test_a_file_by_cloud_init_or_by_hand_is_known(node: Node, run: Runs) -> None:
    node.registries.write_bytes(WANTED)
    node.start()
    assert run() == ALREADY
    assert run(OTHER) == DONE, "a new password"
    assert node.registries.read_bytes() == OTHER


@pytest.mark.parametrize("name", OPERATORS)
def test_nothing_is_touched_where_the_file_is_refused(
    name: str, node: Node, leases: Leases, run: Runs
) -> None:
    node.registries.write_bytes(OPERATORS[name])
    with pytest.raises(RefusedError) as refused:
        run(only_mirrors=True)
    assert str(refused.value).startswith("/etc/rancher/k3s/registries.yaml: somebody else wrote")
    assert "s3cr3t" not in str(refused.value), "there may be a password in that line"
    assert node.registries.read_bytes() == OPERATORS[name]
    assert node.files() == ["registries.yaml"]
    assert (node.commands, leases.calls) == ([], []), "it does not even wait for the lock"


def test_a_file_that_was_not_there_before_is_gone_afterwards(node: Node, run: Runs) -> None:
    run()
    assert run(None) == DONE
    assert not node.files()


@pytest.mark.parametrize("read_only", [False, True])
def test_a_link_that_holds_all_is_left_and_one_that_does_not_is_refused(
    node: Node, leases: Leases, run: Runs, *, read_only: bool
) -> None:
    store = node.root / "nix"
    store.mkdir()
    file = store / "registries.yaml"
    file.write_bytes(b"")
    node.registries.symlink_to("/nix/registries.yaml")
    if read_only:
        store.chmod(0o555)
    with pytest.raises(RefusedError, match="it is a symbolic link"):
        run()
    assert file.read_bytes() == b""
    assert not leases.calls
    file.write_text(yaml.safe_dump(ENTRIES))
    node.start()
    assert run() == ALREADY


def test_a_file_system_that_is_read_only_gets_no_restart(
    node: Node, leases: Leases, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Read-only file system"):
        patch.setattr(os, "open", read_only)
        run()
    assert node.restarts == 0
    assert leases.free, "this node's k3s is as it was"


def test_the_override_is_a_file_of_ours_beside_the_operators(node: Node, run: Runs) -> None:
    folder = node.root / K3S / "config.yaml.d"
    folder.mkdir()
    (folder / "registry.yaml").write_text("disable-default-registry-endpoint: true\n")
    run(only_mirrors=True)
    ours = node.root / DROP_INS / only_mirrors_file(OWNER)
    assert ours == folder / "90-registry-nodes.yaml"
    assert ours.read_text() == new_file(ONLY_MIRRORS, OWNER)
    assert yaml.safe_load(ours.read_text()) == {"disable-default-registry-endpoint": True}
    run()
    assert not ours.exists()
    assert (folder / "registry.yaml").exists(), "nothing proves that it is ours"
    assert node.restarts == 2


@pytest.mark.parametrize("text", ["node-label: [a=b]\n", "disable-default-registry-endpoint: no"])
def test_a_file_of_the_operators_in_the_place_of_ours_is_left(
    node: Node, run: Runs, text: str
) -> None:
    file = node.root / DROP_INS / only_mirrors_file(OWNER)
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(
        RefusedError, match=r"^/etc/.*/90-registry-nodes\.yaml: somebody else wrote"
    ):
        run(only_mirrors=True)
    assert not node.registries.exists()
    run()
    assert file.read_text() == text


def configure_k3s(node: Node, name: str, text: str | bytes) -> Path:
    """Write one of the operator's files of k3s' configuration, and return its path."""
    path = node.root / K3S / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


ASKS = "disable-default-registry-endpoint: false\n"
AFTER_OURS = ("config.yaml.d/91-x.yaml", "config.yaml.d/90-registry-nodes2.yml")
BEFORE_OURS = ("config.yaml", "config.yaml.d/90-a.yaml", "config.yaml.d/99-x.yaml.off")


@pytest.mark.parametrize("name", AFTER_OURS)
def test_an_override_that_would_not_hold_is_refused(node: Node, run: Runs, name: str) -> None:
    """Or nodes count as configured, and pull from docker.io what the registry does not have."""
    file = configure_k3s(node, name, ASKS)
    with pytest.raises(RefusedError, match=f"^/{K3S}/{name}: k3s reads it after .*: delete"):
        run(only_mirrors=True)
    assert not node.registries.exists()
    file.write_text("disable-default-registry-endpoint: true\n")
    assert run(only_mirrors=True) == DONE


@pytest.mark.parametrize("name", BEFORE_OURS)
def test_what_the_override_overrides_is_left(node: Node, run: Runs, name: str) -> None:
    file = configure_k3s(node, name, ASKS)
    assert run(only_mirrors=True) == DONE
    assert file.read_text() == ASKS


def test_without_an_override_the_operators_say_whether_docker_io_is_asked(
    node: Node, run: Runs
) -> None:
    configure_k3s(node, AFTER_OURS[0], ASKS)
    assert run() == DONE


@pytest.mark.parametrize("text", [b"", b"- a\n", b"\xff", b"a: [", b"[" * 2000])
def test_other_configuration_of_k3s_is_no_obstacle(node: Node, run: Runs, text: bytes) -> None:
    configure_k3s(node, AFTER_OURS[0], text)
    assert run(only_mirrors=True) == DONE
