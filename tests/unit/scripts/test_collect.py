"""What the collection deletes, and what it does when something fails."""

from __future__ import annotations

import json

import pytest

from scripts.maintenance.keys import ROOT, SWEPT, blob_key, link_key, tag_key
from scripts.maintenance.references import FOLDER
from scripts.maintenance.retention import Retention
from scripts.maintenance.state import KEY
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import A, B, digest_of, image
from tests.unit.scripts.fake_registry import TIMES, World, done
from tests.unit.scripts.situations import (
    LAST,
    UNTAGGED,
    deleted,
    deleted_index,
    expired,
    overwritten,
)

RUNS = 14
"""So many are enough for everything to go, copies included."""

SITUATIONS = {
    "deleted": (deleted, Retention()),
    "overwritten": (overwritten, UNTAGGED),
    "expired": (expired, LAST),
    "deleted index": (deleted_index, UNTAGGED),
}


def left(world: World) -> set[str]:
    """Return the keys of all but what the collection remembers."""
    remembered = {key for key in world.objects.stored if key.startswith(FOLDER)}
    return world.objects.stored.keys() - {KEY} - remembered


@pytest.mark.parametrize("situation", SITUATIONS)
def test_in_the_end_only_what_was_never_deleted_is_left(situation: str) -> None:
    before, retention = SITUATIONS[situation]
    world = World(retention)
    before(world)
    for _ in range(RUNS):
        world.collect()
    alone = World()
    tag = "a" if before is overwritten else "b"
    assert done(alone.pods[0].push("r", B, tag))
    history = {key for key in left(world) if "/index/" in key}
    assert left(world) - history == left(alone) - {tag_key("r", tag, B.digest)}
    assert not world.broken("r", B, tag)


class KilledError(BaseException):
    """The process is killed: nothing more of it runs."""


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_run_that_is_killed_before_it_writes_is_made_up_for_by_the_next_ones(
    situation: str,
) -> None:
    before, retention = SITUATIONS[situation]
    world = World(retention)
    before(world)
    whole = world.copy()
    for _ in range(RUNS):
        whole.collect()
    for _ in range(RUNS):
        request = 0
        while killed_at(world.copy(), request, whole, "a" if before is overwritten else "b"):
            request += 1
        world.collect()


def killed_at(world: World, request: int, whole: World, tag: str) -> bool:
    """Kill a run before one of its requests that write; return whether it had so many."""
    requests = 0

    def before(method: str, _: str) -> None:
        nonlocal requests
        # Before one that reads, it is as if killed before the next one that writes.
        requests += method not in {"LIST", "GET", "HEAD"}
        if requests > request:
            raise KilledError

    world.objects.before = before
    try:
        world.collect()
    except KilledError:
        pass
    else:
        return False
    world.objects.before = world.objects.nothing
    for _ in range(RUNS + 2):
        world.collect()
        assert not world.broken("r", B, tag), request
    assert left(world) == left(whole), request
    return True


def test_a_request_that_fails_stops_the_run() -> None:
    world = World()
    deleted(world)

    def fail(method: str, _: str) -> None:
        if method in {"COPY", "DELETE"}:
            raise StorageError("503")

    for _ in range(RUNS):
        world.objects.before = fail
        try:
            world.collect()
        except StorageError:
            assert world.has(A.manifest), "there is no copy of it yet"
        world.objects.before = world.objects.nothing


def test_nothing_is_deleted_before_it_was_unneeded_for_as_long_as_it_can_be_restored() -> None:
    world = World()
    deleted(world)
    world.collect()
    before = left(world)
    world.collect()
    assert left(world) == before, "600 of 1000 s have passed since it was first seen"


def test_what_no_tag_holds_stays_unless_the_setting_says_otherwise() -> None:
    world = World()
    overwritten(world)
    for _ in range(RUNS):
        world.collect()
    assert not world.broken("r", A), "pods may run it by its digest"


def test_nothing_is_deleted_while_a_pod_cannot_be_made_to_forget_it() -> None:
    world = World()
    deleted(world)
    world.forgetting.reachable = False
    for _ in range(RUNS):
        collection = world.collect()
    assert all(world.has(layer) for layer in A.layers)
    assert "no route" in collection.problem
    world.forgetting.reachable = True
    for _ in range(RUNS):
        world.collect()
    assert not any(world.has(layer) for layer in A.layers)


def test_an_image_that_is_also_linked_as_a_layer_stays_as_no_pod_could_forget_it() -> None:
    world = World(UNTAGGED)
    overwritten(world)
    done(world.pods[0].upload("other", A.manifest))
    for _ in range(RUNS):
        world.collect()
    assert world.has(A.manifest)


def test_a_layer_that_is_linked_by_another_algorithm_stays() -> None:
    world = World()
    deleted(world)
    sha256 = digest_of(A.layers[1])
    alias = f"sha512:{'0' * 128}"
    world.objects.put(link_key("r", "_layers", alias), sha256.encode())
    for _ in range(RUNS):
        world.collect()
    assert world.has(A.layers[1])
    assert not world.has(A.layers[2])


def test_an_upload_goes_that_nobody_can_go_on_with() -> None:
    world = World()
    uploads = f"{ROOT}repositories/r/_uploads"
    world.objects.put(f"{uploads}/cancelled/hashstates/sha256/0", b"")
    world.objects.put(f"{uploads}/going-on/startedat", b"")
    world.objects.put(f"{uploads}/going-on/data", b"")
    world.collect()
    world.objects.put(f"{uploads}/new/hashstates/sha256/0", b"")
    world.objects.clock -= 500
    world.collect()
    kept = {key.split("/")[6] for key in left(world)}
    assert kept == {"going-on", "new"}, "the registry itself deletes those that have a start"


def test_a_blob_has_a_copy_until_no_request_can_refer_to_it() -> None:
    world = World()
    deleted(world)
    for _ in range(3):
        world.collect()
    assert not world.has(A.manifest)
    assert f"{SWEPT}{A.digest.replace(':', '/')}" in world.objects.stored


def test_two_runs_at_a_time_end_with_an_error_instead_of_forgetting_what_one_did() -> None:
    world = World()
    deleted(world)
    world.collect()
    other = False

    def before(method: str, key: str) -> None:
        nonlocal other
        if method == "LIST" and "repositories" in key and not other:
            other = True
            world.objects.before = world.objects.nothing
            world.collect()

    world.objects.before = before
    with pytest.raises(StorageError, match="another run"):
        world.collect()


def test_what_the_collection_remembers_is_not_guessed() -> None:
    world = World()
    world.objects.put(KEY, b"{")
    with pytest.raises(StorageError, match="fix: delete"):
        world.collect()


def test_what_is_lost_is_named_and_no_link_is_deleted_in_its_repository_alone() -> None:
    world = World()
    deleted(world)
    other = image(b"config e", b"layer 5")
    assert done(world.pods[0].push("other", other, "e"))
    assert done(world.pods[0].delete("other", "_manifests/revisions", other.digest)) == 202
    assert done(world.pods[0].push("r", image(b"config d", b"layer 4"), "d"))
    del world.objects.stored[blob_key(digest_of(b"layer 4"))]
    for _ in range(RUNS):
        collection = world.collect()
    (lost,) = collection.health.lost
    assert str(lost).startswith("r:d: its layer")
    assert all(world.has(layer) for layer in A.layers)
    links = {key.split("/")[4] for key in left(world) if "/_layers/" in key}
    assert links == {"r"}, "nobody else's garbage stays for that"


def test_an_image_that_was_pushed_again_and_deleted_stays_deleted() -> None:
    world = World(UNTAGGED)
    overwritten(world)
    link = link_key("r", "_manifests/revisions", A.digest)
    while link in world.objects.stored:
        world.collect()
    assert done(world.pods[0].push("r", A, "c"))
    world.collect()
    assert done(world.pods[0].delete("r", "_manifests/revisions", A.digest)) == 202
    for _ in range(RUNS):
        assert not world.collect().health.repaired
    assert not world.has(A.manifest)


def test_the_memory_has_no_more_than_there_is() -> None:
    world = World()
    deleted(world)
    for _ in range(RUNS + 2):
        world.collect()
    state = json.loads(world.objects.stored[KEY])
    assert not state["unneeded"]
    assert not state["unlinked"]


@pytest.mark.parametrize("most", [1, 2])
def test_a_run_deletes_no_more_than_it_can(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("scripts.maintenance.plan.MOST_BLOBS", most)
    world = World()
    deleted(world)
    for _ in range(RUNS):
        before = len([key for key in world.objects.stored if "/blobs/" in key])
        world.collect(TIMES)
        assert before - len([key for key in world.objects.stored if "/blobs/" in key]) <= most
