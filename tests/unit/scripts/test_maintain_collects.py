"""What a run of the maintenance deletes, and when it deletes nothing."""

from __future__ import annotations

import re
from unittest import mock

import pytest

from scripts.maintenance import history, state, usage_history
from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import REVISIONS, ROOT, blob_key, link_key
from scripts.maintenance.maintain import COLLECT, Maintenance, Task
from scripts.maintenance.references import References, read_manifest
from scripts.maintenance.retention import Retention
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import A, B, Image, digest_of, image
from tests.unit.scripts.fake_registry import TIMES, World, done
from tests.unit.scripts.situations import LAST, UNTAGGED, deleted, expired


def run(
    world: World,
    *,
    collect: bool = True,
    dry_run: bool = False,
    retention: Retention | None = None,
    stack: str = "1 one",
    pod_is_ahead: float = 0,
) -> bool:
    world.objects.clock += 600
    task = Task(stack, world.forgetting, retention or Retention(), dry_run, collect, TIMES)
    with mock.patch("time.time", lambda: world.objects.clock + pod_is_ahead):
        try:
            return Maintenance(world.objects, task).run()
        except StorageError as error:
            print(f"FAILED: {error}")  # noqa: T201 - as the command does
            return False


def many(count: int) -> list[Image]:
    """Return images that have nothing in common."""
    return [image(f"config {x}".encode(), f"layer {x}".encode()) for x in range(count)]


def test_a_run_shows_the_usage_and_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    deleted(world)
    assert all(run(world) for _ in range(3))
    output = capsys.readouterr().out
    assert "repository  tags  manifests" in output
    assert f"deleted: 1 blobs, {len(A.manifest)} bytes" in output
    assert COLLECT not in output
    assert len(re.findall(r"\n\n\d blobs took \d+ MiB; \d match their digests\n", output)) == 3


def test_what_is_in_a_copy_is_remembered_so_that_a_restore_knows_what_it_describes() -> None:
    world = World()
    for pushed in (A, B):
        assert done(world.pods[0].push("r", pushed, "a"))
    assert run(world)
    assert done(world.pods[1].delete("r", REVISIONS, A.digest)) == 202
    assert all(run(world) for _ in range(3))
    assert not world.has(A.manifest)
    for other in many(60):
        assert done(world.pods[0].push("r", other, "b"))
    assert run(world)
    assert References(world.objects).get(A.digest) == read_manifest(A.manifest)


def test_a_tag_that_a_rule_deletes_is_remembered_with_the_rule() -> None:
    world = World()
    assert done(world.pods[0].push("r", A, "a"))
    expired(world)
    world.objects.clock += 600
    while not history.load_gone(world.objects):
        assert run(world, retention=LAST)
    (gone,) = history.load_gone(world.objects)
    assert (gone.tag, gone.digest, gone.by) == ("a", A.digest, "rule last")


def test_what_is_not_understood_stops_deletions_in_its_repository_alone_and_is_no_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    (other,) = many(1)
    assert done(world.pods[0].push("other", other, "a"))
    assert done(world.pods[0].delete("other", REVISIONS, other.digest)) == 202
    world.objects.put(f"{ROOT}repositories/r/_manifests/tags/x/current/link", b"?")
    assert all(run(world) for _ in range(14)), "or one user could raise everybody's alert"
    assert capsys.readouterr().out.count("not understood: r:x: it names no digest") == 14
    assert all(world.has(layer) for layer in A.layers)
    links = {key.split("/")[4] for key in world.objects.stored if "/_layers/" in key}
    assert links == {"r"}


def test_nothing_is_deleted_beside_a_manifest_without_a_tag_that_has_other_content(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    digest = f"sha256:{'0' * 64}"
    world.objects.put(link_key("r", REVISIONS, digest), digest.encode())
    world.objects.put(blob_key(digest), b"{}")
    assert not any(run(world) for _ in range(9))
    assert f"the manifest {digest} has other content" in capsys.readouterr().out.replace(
        "its manifest", "the manifest"
    )
    assert all(world.has(layer) for layer in A.layers)


def test_a_pod_that_cannot_be_reached_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    deleted(world)
    world.forgetting.reachable = False
    assert not all(run(world) for _ in range(4))
    assert "FAILED: no blob is deleted" in capsys.readouterr().out


def test_a_broken_history_of_the_usage_stops_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    world = World()
    deleted(world)
    world.objects.put(usage_history.KEY, b"[" * 100_000)
    for _ in range(14):
        assert not run(world)
    assert f"FAILED: {usage_history.KEY} cannot be read" in capsys.readouterr().out
    assert not world.has(A.manifest), "a chart is no reason to let garbage grow"


def test_one_object_that_its_server_cannot_read_stops_deletions_in_its_repository_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    (other,) = many(1)
    assert done(world.pods[0].push("other", other, "a"))
    assert done(world.pods[0].delete("other", REVISIONS, other.digest)) == 202

    def fail(method: str, key: str) -> None:
        if (method, key) == ("GET", blob_key(B.digest)):
            raise StorageError("500")

    world.objects.before = fail
    for _ in range(14):
        assert not run(world)
    assert f"FAILED: lost: r:b: its manifest {B.digest}" in capsys.readouterr().out
    links = {key.split("/")[4] for key in world.objects.stored if "/_layers/" in key}
    assert links == {"r"}, "garbage of others goes"
    world.objects.before = world.objects.nothing
    assert run(world)


def test_storage_that_can_read_nothing_is_no_problem_of_images() -> None:
    world = World()
    for number, pushed in enumerate(many(20)):
        assert done(world.pods[0].push("r", pushed, f"t{number}"))

    def fail(method: str, key: str) -> None:
        if method == "GET" and "/blobs/" in key:
            raise StorageError("500")

    world.objects.before = fail
    task = Task("1 one", world.forgetting, Retention(), False, True, TIMES)
    with pytest.raises(StorageError, match="500"):
        Maintenance(world.objects, task)


def test_for_how_long_deleted_images_can_be_restored_is_told_to_the_restore() -> None:
    world = World()
    deleted(world)
    for collect, expected in ((True, TIMES.keep), (False, 0)):
        assert run(world, collect=collect)
        assert state.load(world.objects).keep == expected


def test_what_was_written_before_a_pause_that_nobody_saw_is_as_young_as_it_was_seen() -> None:
    """Otherwise an upload during which the maintenance was down for days would lose its blobs."""
    world = World()
    content = b"uploaded again"
    world.objects.put(blob_key(digest_of(content)), content)
    for _ in range(2):
        assert run(world)
    world.objects.clock += 590
    world.objects.put(blob_key(digest_of(content)), content)
    world.objects.clock += 10 * DAY
    assert run(world), "the last run was long ago"
    assert run(world)
    assert world.has(content), "it was written 610 s ago, as far as runs have seen"


def test_a_doubt_does_not_begin_the_wait_of_what_no_tag_holds_anew() -> None:
    world = World()
    for pushed in (A, B):
        assert done(world.pods[0].push("r", pushed, "a"))
    for _ in range(3):
        assert run(world, retention=UNTAGGED)
    unneeded = state.load(world.objects).unneeded
    assert A.digest in unneeded
    world.objects.clock += 10 * DAY
    assert run(world, retention=UNTAGGED), "the last run was long ago"
    assert state.load(world.objects).unneeded == unneeded
