"""What one run of the maintenance says and does."""

from __future__ import annotations

import pytest

from scripts import maintain
from scripts.maintain import Task, check_sample
from scripts.retention import Retention
from scripts.state import KEY
from scripts.walk import Walk, blob_key
from tests.unit.scripts.fake_registry import TIMES, World, digest_of, done
from tests.unit.scripts.situations import LAST, A, B, deleted, expired

LAYER = digest_of(A.layers[1])


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.maintain.RECHECK_SECONDS", 0)


def run(
    world: World, *, collect: bool = True, dry_run: bool = False, retention: Retention | None = None
) -> bool:
    world.objects.clock += 600
    task = Task(world.forgetting, retention or Retention(), dry_run, collect, TIMES)
    return maintain.maintain(world.objects, task)


def test_a_run_shows_the_usage_and_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    deleted(world)
    assert all(run(world) for _ in range(3))
    said = capsys.readouterr().out
    assert "repository  tags  manifests" in said
    assert f"deleted: 1 blobs, {len(A.manifest)} bytes" in said


def test_without_collecting_nothing_is_written_but_what_was_seen() -> None:
    world = World()
    deleted(world)
    before = {key: content for key, (content, _) in world.objects.stored.items()}
    assert all(run(world, collect=False) for _ in range(9))
    after = {key: content for key, (content, _) in world.objects.stored.items() if key != KEY}
    assert after == before
    assert KEY in world.objects.stored


def test_a_dry_run_shows_what_rules_would_delete(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    expired(world)
    for _ in range(9):
        assert run(world, dry_run=True, retention=LAST)
    assert "would expire: tag r:a" in capsys.readouterr().out
    assert not world.broken("r", A, "a")
    for _ in range(9):
        assert run(world, retention=LAST)
    assert "expired: tag r:a" in capsys.readouterr().out
    assert world.broken("r", A, "a")


def test_what_is_lost_fails_the_run_with_the_image_and_the_digest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    done(world.pods[0].push("r", A, "a"))
    del world.objects.stored[blob_key(LAYER)]
    assert not run(world)
    assert f"FAILED: lost: r:a: its layer {LAYER} is not in the bucket" in capsys.readouterr().out


def test_a_tag_that_is_being_deleted_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    done(world.pods[0].push("r", A, "a"))
    deleting = world.pods[0].delete("r", "_manifests/revisions", A.digest)
    for _ in range(2):
        next(deleting)
    monkeypatch.setattr("scripts.maintain.time.sleep", lambda _: done(deleting))
    assert run(world)


def test_what_is_not_understood_fails_the_run_and_nothing_is_deleted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    done(world.pods[0].push("r", A, ""))
    done(world.pods[0].delete("r", "_manifests/revisions", A.digest))
    world.objects.put("docker/registry/v2/repositories/r/_manifests/tags/x/current/link", b"?")
    assert not any(run(world) for _ in range(9))
    assert "FAILED: not understood: " in capsys.readouterr().out
    assert world.has(A.manifest)


def test_a_pod_that_cannot_be_reached_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    deleted(world)
    world.forgetting.reachable = False
    assert not all(run(world) for _ in range(4))
    assert "FAILED: nothing is deleted" in capsys.readouterr().out


def test_a_damaged_layer_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    done(world.pods[0].push("r", A, "a"))
    world.objects.put(blob_key(LAYER), b"layer X")
    assert not run(world)
    assert f"FAILED: lost: r:a: its layer {LAYER} has other content" in capsys.readouterr().out


def test_blobs_of_another_size_than_their_manifest_says_are_compared_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scripts.maintain.SAMPLE_BYTES", 1)
    world = World()
    for pushed in (A, B):
        done(world.pods[0].push("r", pushed, ""))
    world.objects.put(blob_key(LAYER), b"cut")
    walk = Walk(world.objects)
    assert check_sample(world.objects, walk) == 1
    assert walk.damaged == {LAYER}


def test_the_sample_is_limited_and_never_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    done(world.pods[0].push("r", A, "a"))
    walk = Walk(world.objects)
    assert check_sample(world.objects, walk) == 3
    monkeypatch.setattr("scripts.maintain.SAMPLE_BYTES", 1)
    assert check_sample(world.objects, walk) == 1
    assert not walk.damaged
