"""When what nothing needs goes, to the second: `keep` is for people, `grace` for requests."""

from __future__ import annotations

import json

import pytest

from scripts.maintenance.clock import DAY, Clock
from scripts.maintenance.keys import LAYERS, ROOT, blob_key, link_key, swept_key
from scripts.maintenance.plan import Plan, needed, recent
from scripts.maintenance.references import References
from scripts.maintenance.repair import _repair_tags
from scripts.maintenance.repository import Repository, Tag
from scripts.maintenance.retention import Decision, Retention
from scripts.maintenance.state import State, load
from scripts.maintenance.walk import Walk
from tests.unit.scripts.fake_bucket import A, B, FakeBucket, Image, digest_of
from tests.unit.scripts.fake_registry import STEP_SECONDS, TIMES, World, done
from tests.unit.scripts.situations import LAST, deleted


def collect_at(world: World, moment: float) -> Plan:
    world.objects.clock = moment - STEP_SECONDS
    return world.collect().plan


def test_what_is_pushed_again_can_be_restored_for_the_whole_time_again() -> None:
    """A push between two runs that are further apart than the grace is in no run's list of new."""
    world = World(Retention(untagged_days=1 / DAY))
    assert done(world.pods[0].push("r", A))
    while A.digest not in load(world.objects).unneeded:
        world.collect()
    world.objects.clock += 90
    assert done(world.pods[0].push("r", A))
    pushed = world.objects.clock
    collect_at(world, pushed + TIMES.grace + 10)
    collect_at(world, pushed + TIMES.keep - 1)
    assert world.has(A.manifest), "its time began with the push, and not when it was first seen"
    collect_at(world, pushed + TIMES.keep)
    assert not world.has(A.manifest)


def test_a_copy_is_there_for_as_long_as_it_can_be_restored() -> None:
    """The documentation promises it for `keepDays`, of whatever nothing needs."""
    world = World()
    deleted(world)
    layer = A.layers[1]
    while world.has(layer):
        world.collect()
    copy = swept_key(digest_of(layer))
    swept = world.objects.modified[copy]
    collect_at(world, swept + TIMES.keep - 1)
    assert copy in world.objects.stored
    collect_at(world, swept + TIMES.keep)
    assert copy not in world.objects.stored


def test_a_layer_that_may_be_elsewhere_waits_for_its_manifest_like_any_other() -> None:
    """Whoever pulls the image while it goes would find a manifest whose layer is gone."""
    document = json.loads(A.manifest)
    document["layers"][0]["urls"] = ["https://example.com/layer"]
    foreign = Image(json.dumps(document).encode(), A.layers)
    world = World(LAST)
    assert done(world.pods[0].push("r", foreign, "a"))
    world.objects.clock += 5
    assert done(world.pods[0].push("r", B, "b"))
    while world.has(foreign.manifest):
        world.collect()
    link = link_key("r", LAYERS, digest_of(A.layers[1]))
    assert link in world.objects.stored, "a pull that began before the run may get to it"
    world.collect()
    assert link not in world.objects.stored


@pytest.mark.parametrize(
    ("seconds", "later", "waits"),
    [
        (2 * 3600 - 1, 0, True),
        (2 * 3600, 0, False),
        (0, TIMES.grace - 1, True),
        # Or a repository to which something is always pushed would keep all of its garbage.
        (0, TIMES.grace, False),
    ],
)
def test_an_upload_counts_as_one_under_way_for_two_hours_and_keeps_a_layer_for_the_grace(
    seconds: float, later: float, waits: bool
) -> None:
    """Its client may have asked for a layer, and does not send it: it would miss in the image."""
    world = World()
    deleted(world)
    world.collect()
    due = world.objects.clock + TIMES.keep + later
    world.objects.clock = due - seconds
    world.objects.put(f"{ROOT}repositories/r/_uploads/x/startedat", b"")
    waiting = collect_at(world, due).waiting
    assert waiting == (len(A.layers) if waits else 0), "and people are told"
    link = link_key("r", LAYERS, digest_of(A.layers[1]))
    assert (link in world.objects.stored) == waits


def test_a_tag_that_was_pushed_in_the_second_of_its_deletion_comes_back() -> None:
    """S3 tells whole seconds, so it may have been pushed after."""
    bucket = FakeBucket()
    for pushed, back in ((99, []), (100, ["tag r:a"]), (101, ["tag r:a"])):
        walk = Walk(bucket, References(bucket))
        walk.repositories = {"r": Repository(dead_tags={"a": Tag(A.digest, pushed, pushed)})}
        assert _repair_tags(bucket, walk, State(retired={"r": {"a": 100}})) == back


def test_the_link_of_a_layer_that_is_gone_goes_like_any_other() -> None:
    """Or who pushes the layer again would be told that it is there."""
    world = World()
    deleted(world)
    layer = digest_of(A.layers[1])
    del world.objects.stored[blob_key(layer)]
    world.collect()
    collect_at(world, world.objects.clock + TIMES.keep)
    assert link_key("r", LAYERS, layer) not in world.objects.stored


@pytest.mark.parametrize("linked", [False, True])
def test_what_is_written_again_can_be_restored_for_the_whole_time_again(linked: bool) -> None:
    """Another repository may have pushed it meanwhile, and deleted it: that leaves no link."""
    world = World(Retention(untagged_days=1 / DAY))
    if linked:
        assert done(world.pods[0].push("r", A))
    world.objects.put(blob_key(A.digest), A.manifest)
    while A.digest not in load(world.objects).unneeded:
        world.collect()
    world.objects.clock += 90
    world.objects.put(blob_key(A.digest), A.manifest)
    written = world.objects.clock
    collect_at(world, written + TIMES.grace + 10)
    collect_at(world, written + TIMES.keep - 1)
    assert world.has(A.manifest)
    collect_at(world, written + TIMES.keep)
    assert not world.has(A.manifest)


def test_what_was_written_just_now_is_recent_for_the_grace() -> None:
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.recent = {"a": 100}
    assert recent(walk, Clock(now=100 + 499), 500) == {"a"}
    assert recent(walk, Clock(now=100 + 500), 500) == set()


def test_what_one_repository_needs_is_needed_beside_one_that_is_not_understood() -> None:
    world = World()
    for name, pushed in (("a", A), ("b", B)):
        assert done(world.pods[0].push(name, pushed, "v1"))
    walk = Walk(world.objects, References(world.objects))
    whole = Decision({A.digest: "a:v1"}, set(), {}, [])
    odd = Decision({}, set(), {}, [], all=True)
    layers = {digest_of(layer) for layer in (*A.layers, *B.layers)}
    assert needed(walk, {"a": whole, "b": odd}) == {A.digest, *layers}
