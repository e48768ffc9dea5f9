"""How configure_node.py keeps two nodes from restarting at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.nodes import configure_node, node_files
from scripts.nodes.configure_node import ConfigureError
from scripts.nodes.lease import Lease, LeaseError
from scripts.nodes.node_files import Change
from scripts.nodes.own_file import RefusedError
from tests.unit.scripts.leases import Leases, leases
from tests.unit.scripts.nodes import DONE, EVERYDAY, OWNER, Node, Runs, node, run

__all__ = ["leases", "node", "run"]

PENDING = f".{OWNER}.restart-pending"


def test_the_file_is_read_again_once_the_lock_is_held(
    node: Node, leases: Leases, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Lease.take

    def later(lease: Lease) -> None:
        take(lease)
        node.registries.write_bytes(EVERYDAY)

    monkeypatch.setattr(Lease, "take", later)
    with pytest.raises(RefusedError, match="somebody else wrote"):
        run()
    assert node.restarts == 0
    assert leases.free
    monkeypatch.undo()


def test_a_restart_that_failed_keeps_the_lock_and_is_tried_again(
    node: Node, leases: Leases, run: Runs
) -> None:
    node.error = "a start job failed"
    with pytest.raises(
        ConfigureError,
        match=r"systemctl restart k3s: a start job failed; the other nodes wait .*--unit=k3s there",
    ):
        run()
    assert leases.held, "no other node may follow"
    assert node.files() == [PENDING, "registries.yaml"]
    node.error = ""
    assert run() == DONE, "k3s may not know the file yet"
    assert leases.free
    assert node.files() == ["registries.yaml"]


def test_a_lock_that_could_not_be_released_is_released_later(
    node: Node, leases: Leases, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise LeaseError("the API server is away")

    with monkeypatch.context() as away, pytest.raises(LeaseError):
        away.setattr(Lease, "release", fail)
        run()
    assert node.files() == [PENDING, "registries.yaml"]
    run()
    assert leases.free, "all other nodes wait for it"


def test_whose_lock_was_taken_away_does_not_restart_before_it_has_it_again(
    node: Node, leases: Leases, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = node_files.write

    def meanwhile(root: Path, change: Change) -> None:
        write(root, change)
        leases.held = None

    with monkeypatch.context() as patch, pytest.raises(LeaseError, match="taken away"):
        patch.setattr(configure_node, "write", meanwhile)
        run()
    assert node.restarts == 0
    assert run() == DONE
    assert node.restarts == 1


def test_a_run_that_was_killed_while_it_waited_leaves_no_lock(
    node: Node, leases: Leases, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = Lease.take

    def killed(lease: Lease) -> None:
        take(lease)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Lease, "take", killed)
        run()
    assert leases.held
    run(None)  # nothing to change any more
    assert leases.free
    assert not node.files()
