"""What a run tells that deletes nothing: what would go, and when."""

from __future__ import annotations

import pytest

from scripts.maintenance import history, state, usage_history
from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import REVISIONS
from scripts.maintenance.maintain import COLLECT
from scripts.maintenance.references import FOLDER
from scripts.maintenance.retention import Retention
from tests.unit.scripts.fake_bucket import A, B
from tests.unit.scripts.fake_registry import World, done
from tests.unit.scripts.situations import LAST, deleted, expired
from tests.unit.scripts.test_maintain_collects import many, run


def test_without_collecting_nothing_is_written_but_what_was_seen_and_what_could_go_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    before = dict(world.objects.stored)
    assert all(run(world, collect=False) for _ in range(9))
    assert before.items() <= world.objects.stored.items()
    seen = {history.KEY, state.KEY, usage_history.KEY, usage_history.TABLE_KEY}
    new = world.objects.stored.keys() - before.keys()
    assert {key for key in new if not key.startswith(FOLDER)} == seen
    freed = len(A.manifest) + sum(map(len, A.layers))
    told = f"a collection would free {freed} B: {COLLECT}\n"
    assert told in capsys.readouterr().out
    assert world.objects.stored[usage_history.TABLE_KEY].decode().endswith(told)


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


def test_a_dry_run_shows_on_the_first_day_which_manifests_would_go_and_when(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    for pushed in (A, B):
        assert done(world.pods[0].push("r", pushed, "a"))
    days = Retention(untagged_days=0.04)
    shown = []
    for _ in range(9):
        assert run(world, dry_run=True, retention=days)
        output = capsys.readouterr().out
        shown.append("now" if f"would expire: manifest r@{A.digest}\n" in output else "")
        if "would expire on 1970-01-12: 1 manifests of r" in output:
            shown[-1] += "later"
    assert shown == ["later"] * 6 + ["now"] * 3
    assert not world.broken("r", A)


def test_who_collects_nothing_need_not_confirm_what_clients_have_deleted() -> None:
    world = World()
    images = many(30)
    for number, pushed in enumerate(images):
        assert done(world.pods[0].push("r", pushed, f"v{number}"))
    assert run(world, collect=False)
    for pushed in images[10:]:
        assert done(world.pods[0].delete("r", REVISIONS, pushed.digest)) == 202
    assert run(world, collect=False)


def test_each_day_on_which_manifests_would_go_is_told_with_their_number(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    for repository, images in (("a", many(3)), ("b", many(2))):
        for pushed in images:
            assert done(world.pods[0].push(repository, pushed))
    assert run(world, dry_run=True, retention=Retention(untagged_days=2))
    told = [line for line in capsys.readouterr().out.splitlines() if "would expire" in line]
    assert told == [
        "would expire on 1970-01-14: 3 manifests of a",
        "would expire on 1970-01-14: 2 manifests of b",
    ]


def test_a_tag_that_expires_hides_no_manifest_of_its_repository_that_would_go(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    expired(world)
    for pushed in many(4):
        assert done(world.pods[0].push("r", pushed))
    rules = Retention(LAST.rules, untagged_days=0.001)
    assert run(world, retention=rules)
    assert run(world, dry_run=True, retention=rules)
    told = [line for line in capsys.readouterr().out.splitlines() if "would expire: man" in line]
    assert len(told) == 4


def test_of_what_may_not_go_now_nobody_is_asked_to_confirm_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    for number, pushed in enumerate(many(20)):
        world.objects.clock += 5
        assert done(world.pods[0].push("r", pushed, f"v{number}"))
    assert run(world)
    world.objects.clock += 10 * DAY
    assert run(world, retention=LAST), "the last run was long ago"
    output = capsys.readouterr().out
    assert "nothing is deleted: the last run was long ago" in output
    assert "would go now" not in output


def test_who_collects_nothing_is_not_told_that_nothing_is_deleted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    assert run(world, collect=False)
    world.objects.clock += 10 * DAY
    assert run(world, collect=False)
    assert "nothing is deleted" not in capsys.readouterr().out
