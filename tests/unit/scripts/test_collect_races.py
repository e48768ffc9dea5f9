"""Pushes beside the collection: all that is acknowledged stays whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from scripts.maintenance.keys import REVISIONS, link_key
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, Image
from tests.unit.scripts.fake_registry import Steps, World, done
from tests.unit.scripts.situations import (
    LAST,
    UNTAGGED,
    deleted,
    deleted_index,
    expired,
    overwritten,
)


@dataclass(frozen=True)
class Race:
    """Something that is pushed while it is collected.

    Attributes:
        before: What was before.
        retention: The rules.
        push: What is pushed.
        pushed: The image.
        tag: Its tag.
    """

    before: Callable[[World], None]
    retention: Retention
    pushed: Image
    tag: str
    pod: int = 0

    def push(self, world: World) -> Steps:
        return world.pods[self.pod].push("r", self.pushed, self.tag)


RACES = {
    "the same image": Race(deleted, Retention(), A, "a"),
    "the same image to the pod that deleted it": Race(deleted, Retention(), A, "a", pod=1),
    "another image of its layer": Race(deleted, Retention(), C, "c"),
    "an image that was overwritten": Race(overwritten, UNTAGGED, A, "a"),
    "an image that was overwritten, by its digest": Race(overwritten, UNTAGGED, A, ""),
    "an image whose tag expires": Race(expired, LAST, A, "a"),
    "another image under a tag that expires": Race(expired, LAST, C, "a"),
    "an index": Race(deleted_index, UNTAGGED, OF_BOTH, "a"),
}


class Pusher:
    """A push that a test moves on."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.acknowledged: bool | None = None

    def move(self, count: int) -> None:
        for _ in range(count):
            if self.acknowledged is None:
                try:
                    next(self._steps)
                except StopIteration as end:
                    self.acknowledged = end.value


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
def test_what_is_acknowledged_while_it_is_collected_is_whole_from_the_next_run_on(
    race: Race,
) -> None:
    world = World(race.retention)
    race.before(world)
    worlds = []
    for _ in range(10):
        worlds.append(world.copy())
        world.collect()
    acknowledged = 0
    chosen = random.Random(1)  # noqa: S311 - the same races in each run
    for _ in range(200):
        # Some requests of the push before one of the collection's, and the rest before a later one.
        world = chosen.choice(worlds).copy()
        push = Pusher(race.push(world))
        first, count = chosen.randrange(60), chosen.randrange(1, 20)
        rest = first + chosen.randrange(60)
        collect_during(world, push, {first: count, rest: 100})
        push.move(100)
        if push.acknowledged:
            acknowledged += 1
            world.collect()
            assert not world.broken("r", race.pushed, race.tag), (first, count, rest)
            world.collect()
            assert not world.broken("r", race.pushed, ""), (first, count, rest)
    assert acknowledged > 100


def test_an_index_whose_push_hung_while_it_was_deleted_is_whole_after_the_next_run() -> None:
    """Its content comes back from the copy, and says what else must."""
    world = World(UNTAGGED)
    assert done(world.pods[0].push("r", OF_BOTH, "a"))
    assert done(world.pods[0].push("r", B, "a"))
    times = Times(keep=2000, grace=1000)
    while world.has(OF_BOTH.manifest):
        world.collect(times)
    # Then the links of its layers go, then those of its images, in a run that deletes no blob.
    world.collect(times)
    link = link_key("r", REVISIONS, OF_BOTH.digest)
    world.objects.put(link, OF_BOTH.digest.encode())
    world.collect(times)
    assert not world.broken("r", OF_BOTH)


def test_an_index_is_whole_whose_images_another_repository_has_pushed_while_they_went() -> None:
    """Their links are still there, so the client sends nothing; those of their layers are not."""
    world = World(UNTAGGED)
    assert done(world.pods[0].push("r", OF_BOTH, "a"))
    assert done(world.pods[0].push("r", B, "a"))
    times = Times(keep=2000, grace=1000)
    while world.has(OF_BOTH.manifest):
        world.collect(times)
    world.collect(times)
    assert done(world.pods[0].push("other", OF_BOTH, "a"))
    for _ in range(5):
        world.collect(times)
    assert done(world.pods[0].push("r", OF_BOTH, "a"))
    world.collect(times)
    assert not world.broken("r", OF_BOTH, "a")


def collect_during(world: World, push: Pusher, moves: dict[int, int]) -> None:
    """Do one run, and move the push on before some of its requests."""
    requests = 0
    moving = False

    def before(*_: str) -> None:
        nonlocal requests, moving
        if not moving:
            moving = True
            push.move(moves.get(requests, 0))
            requests += 1
            moving = False

    world.objects.before = before
    world.collect()
    world.objects.before = world.objects.nothing
