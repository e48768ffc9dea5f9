"""The lock that one holder at a time has."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from scripts.nodes.lease import FINALIZER, Lease, LeaseError
from scripts.shared.api_server import ApiServerError
from tests.unit.scripts.leases import Leases, leases, lock

__all__ = ["leases"]


@pytest.fixture
def first(leases: Leases, tmp_path: Path) -> Lease:
    """The lock of node A, which holds it."""
    assert not leases.held
    first = lock(tmp_path)
    first.take()
    return first


def waiting(lease: Lease) -> threading.Thread:
    """Return a thread that waits for the lock, after it has looked several times."""
    thread = threading.Thread(target=lease.take)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive(), "two servers down at once may be one too many"
    return thread


def holder(leases: Leases) -> str:
    assert leases.held
    held: str = leases.held["spec"]["holderIdentity"]
    return held


def test_the_first_one_gets_the_lock(leases: Leases, first: Lease) -> None:
    first.check()
    assert leases.held
    assert leases.held["metadata"]["name"] == "lock"
    assert leases.held["metadata"]["finalizers"] == [FINALIZER]
    assert holder(leases) == "node-a/registry-nodes"


def test_a_released_lock_leaves_nothing(leases: Leases, first: Lease) -> None:
    first.release()
    assert leases.held is None


def test_the_next_one_waits_and_says_for_whom_and_how_to_release_it(
    leases: Leases, first: Lease, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert leases.held
    leases.held["spec"]["acquireTime"] = "2026-01-02T03:04:05.000000Z"
    thread = waiting(lock(tmp_path, "node-b/registry-nodes"))
    first.release()
    thread.join(5)
    assert holder(leases) == "node-b/registry-nodes"
    assert capsys.readouterr().out == (
        "waiting for node-a/registry-nodes, which has held the lock since "
        "2026-01-02T03:04:05.000000Z; if it is gone for good: "
        "kubectl delete --namespace=kube-system lease lock --wait=false; "
        "kubectl patch --namespace=kube-system lease lock --type=merge "
        """--patch='{"metadata":{"finalizers":null}}'\n"""
    )


def test_another_registry_on_the_same_node_waits_too(leases: Leases, first: Lease) -> None:
    thread = waiting(lock(first.server.token.parent, "node-a/registry-2-nodes"))
    first.release()
    thread.join(5)
    assert holder(leases) == "node-a/registry-2-nodes"


def test_a_deleted_lease_stays_until_its_holder_is_done(
    leases: Leases, first: Lease, tmp_path: Path
) -> None:
    leases.delete()
    thread = waiting(lock(tmp_path, "node-b/registry-nodes"))
    first.check()
    first.release()
    thread.join(5)
    assert holder(leases) == "node-b/registry-nodes"


@pytest.mark.usefixtures("first")
def test_a_node_whose_pod_was_restarted_still_holds_the_lock(
    leases: Leases, tmp_path: Path
) -> None:
    again = lock(tmp_path)
    again.take()
    again.check()
    again.release()
    assert leases.held is None


def test_whose_lock_was_taken_away_notices_and_lets_the_new_holder_be(
    leases: Leases, first: Lease, tmp_path: Path
) -> None:
    leases.held = None
    with pytest.raises(LeaseError, match="the lock was taken away meanwhile"):
        first.check()
    second = lock(tmp_path, "node-b/registry-nodes")
    second.take()
    with pytest.raises(LeaseError, match="the lock was taken away meanwhile"):
        first.check()
    first.release()
    assert holder(leases) == "node-b/registry-nodes"
    leases.delete()
    assert leases.held, "its finalizer is still there"


def test_an_api_server_that_restarts_is_waited_for(leases: Leases, tmp_path: Path) -> None:
    leases.failures = [503, 500]
    lock(tmp_path).take()
    assert leases.calls == ["POST"] * 3


def test_a_lease_that_is_gone_when_it_is_looked_at_is_tried_for_again(
    leases: Leases, tmp_path: Path
) -> None:
    leases.failures = [409]
    lock(tmp_path).take()
    assert leases.calls == ["POST", "GET", "POST"]


def test_a_token_that_was_renewed_is_used(leases: Leases, first: Lease) -> None:
    leases.token = "token-2"
    first.server.token.write_text("token-2")
    first.check()


def test_an_api_server_that_refuses_is_an_error(leases: Leases, tmp_path: Path) -> None:
    leases.failures = [403] * 1000
    with pytest.raises(ApiServerError, match=r'POST http://.*/leases: 403 {"message": "not now"}'):
        lock(tmp_path).take()


def test_an_api_server_that_is_away_for_too_long_is_an_error(
    first: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.shared.api_server.URL", "http://127.0.0.1:1")
    with pytest.raises(ApiServerError, match=r"GET http://.*/leases/lock: .*refused"):
        first.check()
