"""The collection keeps up with a registry that is never quiet."""

from __future__ import annotations

import random

import pytest

from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import LAYERS, ROOT, blob_key, link_key
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention, Rule
from tests.unit.scripts import fake_bucket
from tests.unit.scripts.fake_bucket import Image, digest_of, image
from tests.unit.scripts.fake_registry import STEP_SECONDS, TIMES, World, done

BUILDS, LAST, WEEKS = 10, 20, 12
"""A twentieth of 200 builds a day, each of a manifest, a configuration and two layers."""

RUNS = 4
"""How many there are a day, with pushes before each of them; hourly ones would take long."""

TAKES_DAYS = 10
"""How long a blob is there at most after the build that pushes its image out of the rule: its
manifest for the 7 days in which it can be restored without a copy, a day of grace until its links
go and until its layers do, and a while until the next run."""


def build(number: int) -> Image:
    return image(*(f"{part} of {number}".encode() for part in ("config", "layer", "other layer")))


def test_what_200_builds_a_day_leave_stays_flat_for_12_weeks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fake_bucket, "PAGE", 1000)
    chosen = random.Random(1)  # noqa: S311 - the same builds in each run
    world = World(Retention([Rule("last", ["*"], last=LAST, days=0, matching=[])]))
    held: list[int] = []
    copies: list[int] = []
    number = 0
    for run in range(WEEKS * 7 * RUNS):
        for _ in range(chosen.randrange(BUILDS // RUNS, BUILDS // RUNS + 2)):
            number += 1
            world.objects.clock += 60
            pod = chosen.choice(world.pods)
            assert done(pod.push("team/app", build(number), f"v{number}"))
        world.objects.clock = 1_000_000 + (run + 1) * DAY / RUNS - STEP_SECONDS
        collection = world.collect(Times(keep=7 * DAY))
        assert not collection.health.lost
        assert not collection.health.repaired
        keys = world.objects.stored
        held.append(sum(key.startswith(f"{ROOT}blobs/") for key in keys))
        copies.append(sum(key.startswith("maintenance/swept/") for key in keys))
    weeks = [max(held[start : start + 7 * RUNS]) for start in range(0, len(held), 7 * RUNS)]
    most = 4 * (LAST + TAKES_DAYS * BUILDS)
    assert max(weeks) < most
    assert max(weeks[8:]) < 1.1 * max(weeks[3:6]), "it does not grow"
    assert max(copies) < 4 * 8 * BUILDS, "nor do the copies"
    links = [key for key in world.objects.stored if "/repositories/" in key]
    assert len(links) < most
    for kept in range(number - LAST + 1, number + 1):
        assert not world.broken("team/app", build(kept), f"v{kept}")


def unlinked_in(world: World, name: str, layer: bytes, run: int, found: dict[str, int]) -> None:
    if link_key(name, LAYERS, digest_of(layer)) not in world.objects.stored:
        found.setdefault(name, run)


def test_an_upload_that_is_under_way_keeps_the_links_of_its_repository_for_a_day_more() -> None:
    """The layers that its client has asked for are in no list until it has sent the rest."""
    world, found = World(), dict[str, int]()
    images = {"busy": build(1), "quiet": build(2), "abandoned": build(3)}
    for name, pushed in images.items():
        assert done(world.pods[0].push(name, pushed, "a"))
        assert done(world.pods[0].delete(name, "_manifests/revisions", pushed.digest)) == 202
    world.objects.put(f"{ROOT}repositories/abandoned/_uploads/one/startedat", b"")
    world.objects.clock += 2 * 3600
    for run in range(14):
        # A client that goes on to push, with an upload that began just before each run.
        world.objects.put(f"{ROOT}repositories/busy/_uploads/{run}/startedat", b"")
        waiting = world.collect().plan.waiting
        for name, pushed in images.items():
            unlinked_in(world, name, pushed.layers[1], run, found)
        assert bool(waiting) == ("quiet" in found and "busy" not in found)
    assert found["quiet"] == found["abandoned"]
    more = (found["busy"] - found["quiet"]) * STEP_SECONDS
    assert TIMES.grace <= more < TIMES.grace + STEP_SECONDS, "no more than the grace, or it grows"
    assert not any(
        blob_key(digest_of(x.layers[1])) in world.objects.stored for x in images.values()
    )
