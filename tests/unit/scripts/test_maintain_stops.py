"""When a run of the maintenance deletes nothing: other stacks, clocks, lists, and the fuse."""

from __future__ import annotations

import pytest

from scripts.maintenance import state
from scripts.maintenance.clock import DAY
from scripts.maintenance.keys import REVISIONS, ROOT
from scripts.maintenance.maintain import CONFIRM
from scripts.maintenance.retention import Retention, Rule
from tests.unit.scripts.fake_bucket import A, B
from tests.unit.scripts.fake_registry import World, done
from tests.unit.scripts.situations import deleted
from tests.unit.scripts.test_maintain_collects import many, run


def test_nothing_is_deleted_while_another_stack_looks_after_the_bucket(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    deleted(world)
    for _ in range(9):
        # Only one of them collects: the other's pods remember blobs all the same.
        assert run(world, stack="1 one")
        assert run(world, stack="2 two", collect=False)
    assert world.has(A.layers[0])
    output = capsys.readouterr().out
    assert "nothing is deleted: two looked after this bucket, too, on 1970-01-12" in output
    assert "destroy" not in output, "whoever does so deletes images"
    for _ in range(9):
        assert run(world, stack="1 one")
    assert not world.has(A.layers[0]), "the other one is gone for long enough"


def test_a_stack_with_another_hostname_is_no_stranger() -> None:
    world = World()
    deleted(world)
    for run_number in range(9):
        assert run(world, stack=f"1 name-{run_number}.example.com")
    assert not world.has(A.layers[0])


@pytest.mark.parametrize("ahead", [3600, -3600, 10 * DAY])
def test_nothing_is_deleted_while_the_clocks_of_pod_and_storage_differ(
    capsys: pytest.CaptureFixture[str], ahead: float
) -> None:
    world = World()
    deleted(world)
    for _ in range(9):
        assert not run(world, pod_is_ahead=ahead)
    assert world.has(A.manifest)
    assert "FAILED: nothing is deleted: the storage's clock is" in capsys.readouterr().out


def test_no_tag_expires_since_all_clocks_jump_ahead() -> None:
    world = World()
    week = Retention(rules=[Rule("week", ["*"], last=0, days=7, matching=[])])
    assert done(world.pods[0].push("r", A, "a"))
    assert run(world, retention=week)
    world.objects.clock += 10 * DAY
    for _ in range(14):
        assert run(world, retention=week)
    assert not world.broken("r", A, "a"), "nobody has seen these ten days pass"


HIDDEN = {
    "a tag": f"{ROOT}repositories/r/_manifests/tags/b/",
    "all tags": f"{ROOT}repositories/r/_manifests/tags/",
    "a repository": f"{ROOT}repositories/r/",
    "all repositories": f"{ROOT}repositories/",
    "links of manifests": f"{ROOT}repositories/r/_manifests/revisions/",
    "all blobs": f"{ROOT}blobs/",
}


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_nothing_is_deleted_while_a_list_does_not_show_what_is_there(
    capsys: pytest.CaptureFixture[str], hidden: str
) -> None:
    world = World(Retention(untagged_days=0.001))
    assert done(world.pods[0].push("r", B, "b"))
    assert done(world.pods[0].push("r", A))
    deleted(world)
    assert done(world.pods[0].push("r", A))
    assert run(world)
    world.objects.hidden = hidden
    before = {key for key in world.objects.stored if key.startswith(ROOT)}
    for _ in range(14):
        assert not run(world, retention=Retention(untagged_days=0.1))
    assert before <= world.objects.stored.keys()
    assert "FAILED: nothing is deleted: the storage's lists do not show" in capsys.readouterr().out
    world.objects.hidden = ""
    assert run(world)
    assert not world.broken("r", B, "b")


def test_a_run_that_would_delete_more_than_a_fifth_stops_until_somebody_confirms_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    for number, pushed in enumerate(many(12)):
        assert done(world.pods[0].push("r", pushed, f"t{number}"))
        world.objects.clock += 1
    one = Retention(rules=[Rule("one", ["*"], last=1, days=0, matching=[])])
    for _ in range(9):
        run(world, retention=one)
    assert all(not world.broken("r", x, f"t{n}") for n, x in enumerate(many(12)))
    message = "FAILED: nothing is deleted: 11 of 12 tags, 11 of 12 manifests, "
    assert message in (output := capsys.readouterr().out)
    assert f"would go now; if that is right: {CONFIRM}\n" in output
    stopped = state.load(world.objects).stopped
    assert stopped
    assert stopped.sums[:3] == (11, 11, 33), "with what only these tags need"
    confirm(world)
    assert all(run(world, retention=one) for _ in range(14)), "it is asked for once"
    assert "expired: tag r:t0" in capsys.readouterr().out
    assert not any(world.has(pushed.manifest) for pushed in many(11))


def confirm(world: World) -> None:
    stopped = state.load(world.objects).stopped
    assert stopped
    until = world.objects.clock + stopped.seconds
    document = f'{{"until": {until}, "most": {list(stopped.sums)}}}'
    world.objects.put("maintenance/confirmed.json", document.encode())


def test_a_run_that_finds_more_than_a_fifth_gone_stops_until_somebody_confirms_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    for number, pushed in enumerate(many(12)):
        assert done(world.pods[0].push("r", pushed, f"t{number}"))
    assert run(world)
    for pushed in many(6):
        assert done(world.pods[0].delete("r", REVISIONS, pushed.digest)) == 202
    assert not any(run(world) for _ in range(14))
    assert all(world.has(pushed.manifest) for pushed in many(12))
    assert "6 of 12 tags, 6 of 12 manifests, 0 of" in (output := capsys.readouterr().out)
    assert f"are gone since the last run that was all right; if that is right: {CONFIRM}" in output
    confirm(world)
    assert all(run(world) for _ in range(14)), "it is asked for once"
    assert not any(world.has(pushed.manifest) for pushed in many(6))


def test_a_registry_of_few_images_may_lose_one_without_a_confirmation() -> None:
    world = World()
    deleted(world)
    assert all(run(world) for _ in range(14))
    assert not world.has(A.manifest)
