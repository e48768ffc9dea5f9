"""A list that hides some of what is there, run after run, makes no run delete anything."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from scripts.maintenance import fuse, state
from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import REVISIONS, blob_key, link_key, tag_key
from scripts.maintenance.maintain import Maintenance, Task
from scripts.maintenance.retention import Retention
from scripts.shared.objects import StorageError
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, Image, digest_of, image
from tests.unit.scripts.fake_registry import STEP_SECONDS, TIMES, World, done

RUNS = 12
"""So many are enough for everything to go that no list shows."""

UNTAGGED = image(b"config u", b"layer u")
SIGNATURE = image(b"config s", b"layer s", subject=A.digest)

HIDDEN = {
    "a tag": tag_key("r", "a"),
    "a manifest": link_key("r", REVISIONS, A.digest),
    "a manifest of an index": link_key("r", REVISIONS, C.digest),
    "a manifest that no tag holds": link_key("r", REVISIONS, UNTAGGED.digest),
    "a manifest that describes another": link_key("r", REVISIONS, SIGNATURE.digest),
    "a layer's link": link_key("r", "_layers", digest_of(A.layers[1])),
    "a layer's content": blob_key(digest_of(A.layers[1])),
    "a repository": "docker/registry/v2/repositories/r/",
    "all repositories": "docker/registry/v2/repositories/",
    "all blobs": "docker/registry/v2/blobs/",
}


@pytest.fixture(autouse=True)
def without_the_fuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would stop what hides much, and nothing that hides little."""
    monkeypatch.setattr(fuse, "SHARE", 0)


def maintain(world: World, monkeypatch: pytest.MonkeyPatch, retention: Retention) -> list[str]:
    """Do one run, and return its problems."""
    world.objects.clock += STEP_SECONDS
    monkeypatch.setattr(time, "time", lambda: world.objects.clock)
    task = Task("1 registry", world.forgetting, retention, False, True, TIMES)
    try:
        maintenance = Maintenance(world.objects, task)
        maintenance.run()
    except StorageError as error:
        return [str(error)]
    return maintenance.problems


@pytest.mark.parametrize("seen_for", [1, 3], ids=["seen once", "seen for long"])
@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_what_a_list_hides_that_an_earlier_run_saw_stays(
    hidden: str, seen_for: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    images: list[tuple[Image, str]] = [(A, "a"), (B, "b"), (OF_BOTH, "i"), (UNTAGGED, "")]
    images += [(SIGNATURE, "")]
    for pushed, tag in images:
        assert done(world.pods[0].push("r", pushed, tag))
    retention = Retention(untagged_days=10 * STEP_SECONDS / DAY)
    for _ in range(seen_for):
        assert not maintain(world, monkeypatch, retention)
    world.objects.hides = hiding(hidden)
    if hidden.endswith(UNTAGGED.digest[7:] + "/link"):
        retention = Retention()
    for _ in range(RUNS):
        problems = maintain(world, monkeypatch, retention)
        (problem,) = (problem for problem in problems if "do not show" in problem)
        if not hidden.endswith("/"):
            assert problem.endswith(f"do not show {hidden}, which is there, and 0 more")
    world.objects.hides = hiding("")
    assert not maintain(world, monkeypatch, Retention())
    for pushed, tag in images:
        assert not world.broken("r", pushed, tag)


def hiding(prefix: str) -> Callable[[str], bool]:
    return lambda key: bool(prefix) and key.startswith(prefix)


def test_a_list_that_hides_what_the_maintenance_itself_has_written_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    assert done(world.pods[0].push("r", A, "a"))
    assert not maintain(world, monkeypatch, Retention())
    world.objects.hides = lambda key: key == state.KEY
    (problem,) = maintain(world, monkeypatch, Retention())
    assert f"do not show {state.KEY}," in problem
