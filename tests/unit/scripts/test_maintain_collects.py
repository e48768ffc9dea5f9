"""What a run of the maintenance deletes, and when it deletes nothing."""

from __future__ import annotations

import pytest

from scripts.maintenance import collection_state, maintain, tag_history, usage_history
from scripts.maintenance.maintain import Task
from scripts.maintenance.retention import Retention
from scripts.maintenance.walk import link_key
from tests.unit.scripts.fake_bucket import A, B
from tests.unit.scripts.fake_registry import TIMES, World, done
from tests.unit.scripts.situations import LAST, deleted, expired


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.maintenance.maintain.RECHECK_SECONDS", 0)


def run(
    world: World,
    *,
    collect: bool = True,
    dry_run: bool = False,
    retention: Retention | None = None,
    stack: str = "one",
) -> bool:
    world.objects.clock += 600
    task = Task(stack, world.forgetting, retention or Retention(), dry_run, collect, TIMES)
    return maintain.maintain(world.objects, task)


def test_a_run_shows_the_usage_and_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    deleted(world)
    assert all(run(world) for _ in range(3))
    output = capsys.readouterr().out
    assert "repository  tags  manifests" in output
    assert f"deleted: 1 blobs, {len(A.manifest)} bytes" in output


def test_without_collecting_nothing_is_written_but_what_was_seen() -> None:
    world = World()
    deleted(world)
    before = dict(world.objects.stored)
    assert all(run(world, collect=False) for _ in range(9))
    assert before.items() <= world.objects.stored.items()
    seen = {tag_history.KEY, collection_state.KEY, usage_history.KEY, usage_history.TABLE_KEY}
    assert world.objects.stored.keys() - before.keys() == seen


def test_a_dry_run_shows_what_rules_would_delete(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    expired(world)
    for _ in range(9):
        assert run(world, dry_run=True, retention=LAST)
    output = capsys.readouterr().out
    assert "would expire: tag r:a" in output
    assert "would expire: manifest" not in output, "that of the tag goes with it"
    assert not world.broken("r", A, "a")
    for _ in range(9):
        assert run(world, retention=LAST)
    assert "expired: tag r:a" in capsys.readouterr().out
    assert world.broken("r", A, "a")


def test_a_dry_run_shows_which_manifests_without_a_tag_would_go(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    for pushed in (A, B):
        assert done(world.pods[0].push("r", pushed, "a"))
    days = Retention(untagged_days=0.04)
    shown = []
    for _ in range(9):
        assert run(world, dry_run=True, retention=days)
        shown.append("would expire: manifest" in capsys.readouterr().out)
    assert shown == [False] * 6 + [True] * 3
    assert run(world, dry_run=True, retention=days)
    assert f"would expire: manifest r@{A.digest}\n" in capsys.readouterr().out
    assert not world.broken("r", A)


def test_a_tag_that_expires_is_remembered_before_it_goes() -> None:
    world = World()
    assert done(world.pods[0].push("r", A, "a"))
    expired(world)
    world.objects.clock += 600
    while not tag_history.load(world.objects).gone:
        assert run(world, retention=LAST)
    (gone,) = tag_history.load(world.objects).gone
    assert (gone.tag, gone.digest) == ("a", A.digest)


def test_what_is_not_understood_fails_the_run_and_nothing_is_deleted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    world.objects.put("docker/registry/v2/repositories/r/_manifests/tags/x/current/link", b"?")
    assert not any(run(world) for _ in range(9))
    assert "FAILED: not understood: " in capsys.readouterr().out
    assert world.has(A.manifest)


def test_nothing_is_deleted_while_a_manifest_without_a_tag_has_other_content(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    digest = f"sha256:{'0' * 64}"
    world.objects.put(link_key("r", "_manifests/revisions", digest), digest.encode())
    world.objects.put(f"docker/registry/v2/blobs/sha256/00/{'0' * 64}/data", b"{}")
    assert not any(run(world) for _ in range(9))
    assert f"the manifest {digest} has other content" in capsys.readouterr().out
    assert all(world.has(layer) for layer in A.layers)


def test_a_pod_that_cannot_be_reached_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    deleted(world)
    world.forgetting.reachable = False
    assert not all(run(world) for _ in range(4))
    assert "FAILED: no blob is deleted" in capsys.readouterr().out


def test_nothing_is_deleted_while_another_stack_looks_after_the_bucket(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    for _ in range(9):
        # Only one of them collects: the other's pods remember blobs all the same.
        assert run(world, stack="one")
        assert run(world, stack="two", collect=False)
    assert world.has(A.layers[0])
    assert "nothing is deleted: two looked after this bucket, too, on 1970-01-12" in (
        capsys.readouterr().out
    )
    for _ in range(9):
        assert run(world, stack="one")
    assert not world.has(A.layers[0]), "the other one is gone for long enough"
