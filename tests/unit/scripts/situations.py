"""Images, and what happened to them before they are collected."""

from __future__ import annotations

from scripts.maintenance.clock import DAY
from scripts.maintenance.retention import Retention, Rule
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B
from tests.unit.scripts.fake_registry import World, done

UNTAGGED = Retention(untagged_days=700 / DAY)
LAST = Retention(rules=[Rule("last", ["*"], last=1, days=0, matching=[])])


def deleted(world: World) -> None:
    """A was deleted by one pod, and the other remembers all of it."""
    assert done(world.pods[0].push("r", A, "a"))
    assert done(world.pods[1].push("r", B, "b"))
    assert not world.broken("r", A, "a")
    assert done(world.pods[1].delete("r", "_manifests/revisions", A.digest)) == 202


def overwritten(world: World) -> None:
    """A was overwritten by B."""
    assert done(world.pods[0].push("r", A, "a"))
    assert not world.broken("r", A, "a")
    assert done(world.pods[1].push("r", B, "a"))


def expired(world: World) -> None:
    """The rule keeps B only."""
    assert done(world.pods[0].push("r", A, "a"))
    assert not world.broken("r", A, "a")
    world.objects.clock += 5
    assert done(world.pods[1].push("r", B, "b"))


def deleted_index(world: World) -> None:
    """An index was deleted, and its children are without a tag."""
    assert done(world.pods[0].push("r", OF_BOTH, "a"))
    assert not world.broken("r", OF_BOTH, "a")
    assert done(world.pods[1].push("r", B, "b"))
    assert done(world.pods[1].delete("r", "_manifests/revisions", OF_BOTH.digest)) == 202
