"""What one plan decides and remembers, item by item."""

from __future__ import annotations

import pytest

from scripts.maintenance.clock import DAY, Clock
from scripts.maintenance.keys import tag_key
from scripts.maintenance.plan import plan
from scripts.maintenance.references import Manifest, References
from scripts.maintenance.repository import Repository, Tag
from scripts.maintenance.retention import Decision
from scripts.maintenance.state import State, Unlinked
from scripts.maintenance.walk import Walk
from scripts.shared.listing import Entry
from tests.unit.scripts.fake_bucket import A, B, FakeBucket, digest_of
from tests.unit.scripts.fake_registry import TIMES


@pytest.mark.parametrize(
    ("named", "left", "seconds", "stays", "why"),
    [
        (False, "", TIMES.keep + TIMES.grace - 1, True, "a request may be as old as that"),
        (False, "", TIMES.keep + TIMES.grace, False, "or it would be remembered for ever"),
        (False, "blob", TIMES.keep + TIMES.grace, True, "the blob is still to go"),
        (False, "link", TIMES.grace, False, "it was pushed again"),
        (False, "copy", TIMES.keep + TIMES.grace, True, "the copy may still be wanted"),
        (
            *(True, "", TIMES.keep + TIMES.grace, True),
            "another repository has pushed the manifest again, so it is here, too, without layers",
        ),
    ],
)
def test_the_proof_that_a_layer_was_there_stays_while_it_can_be_given_back(
    named: bool, left: str, seconds: float, stays: bool, why: str
) -> None:
    layer, forgotten = digest_of(A.layers[1]), 100
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.repositories = {"r": Repository(revisions={A.digest: 0})}
    if left == "link":
        walk.repositories["r"].layers.add(layer)
    walk.manifests = {A.digest: Manifest(layers=(layer,))} if named else {}
    walk.blobs = {layer: 1} if left == "blob" else {}
    walk.swept = {layer: Entry("", 1, forgotten, "")} if left == "copy" else {}
    state = State(
        clock=Clock(now=forgotten + seconds), unlinked={layer: Unlinked(["r"], forgotten)}
    )
    kept = {} if left else {A.digest: "r:a"}
    plan(walk, state, {"r": Decision(kept, set(), {}, [])}, TIMES)
    assert (layer in state.unlinked) == stays, why


@pytest.mark.parametrize(
    ("name", "seconds", "stays"),
    [
        ("r", TIMES.keep + TIMES.grace - 1, True),
        ("r", TIMES.keep + TIMES.grace, False),
        ("gone", 1, False),
    ],
)
def test_what_a_repository_had_is_proven_until_no_request_can_refer_to_it(
    name: str, seconds: float, stays: bool
) -> None:
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.repositories = {"r": Repository()}
    state = State(clock=Clock(now=100 + seconds), dropped={name: {A.digest: 100}})
    plan(walk, state, {}, TIMES)
    assert bool(state.dropped.get(name)) == stays


@pytest.mark.parametrize(
    ("seconds", "goes"), [(None, True), (0, False), (TIMES.grace - 1, False), (TIMES.grace, True)]
)
def test_a_layer_goes_when_every_pod_has_forgotten_it_for_the_grace(
    seconds: float | None, goes: bool
) -> None:
    """A pod that remembers it tells a client that it need not upload it."""
    now, layer = 10 * DAY, digest_of(A.layers[1])
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.blobs = {layer: 1}
    state = State(clock=Clock(now=now), unneeded={layer: 1})
    if seconds is not None:
        state.unlinked = {layer: Unlinked(["r"], now - seconds if seconds else 0)}
    assert plan(walk, state, {}, TIMES).sweep == ({layer} if goes else set())


def test_what_has_waited_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it could wait for ever, where each run has more than it can delete."""
    monkeypatch.setattr("scripts.maintenance.plan.MOST_BLOBS", 3)
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.blobs = {"sha256:a": 1, "sha256:c": 1, "sha256:d": 1}
    walk.repositories = {
        "r": Repository(layers={"sha256:b"}),
        "s": Repository(layers={"sha256:e"}),
    }
    order = ("sha256:c", "sha256:b", "sha256:e", "sha256:a", "sha256:d")
    since = {digest: float(number) for number, digest in enumerate(order)}
    state = State(clock=Clock(now=10 * DAY), unneeded=since)
    result = plan(walk, state, {}, TIMES)
    assert (result.sweep, result.unlink_layers) == (
        {"sha256:c"},
        [("r", "sha256:b"), ("s", "sha256:e")],
    )
    assert result.waiting == 2


@pytest.mark.parametrize(
    ("seconds", "goes"), [(None, True), (TIMES.grace - 1, False), (TIMES.grace, True)]
)
def test_links_of_manifests_go_the_grace_after_their_blobs(
    seconds: float | None, goes: bool
) -> None:
    """A push that has seen the blob may still write its link; who has no copy has no such push."""
    now, repositories = 10 * DAY, ("r", "s")
    walk = Walk(bucket := FakeBucket(), References(bucket))
    for name in repositories:
        walk.repositories[name] = Repository(revisions={A.digest: 1, B.digest: 1})
    for digest in (A.digest, B.digest):
        if seconds is not None:
            walk.swept[digest] = Entry("", 1, now - seconds, "")
    state = State(clock=Clock(now=now), unneeded={A.digest: 1, B.digest: 1})
    result = plan(walk, state, {}, TIMES)
    links = {(name, digest) for name in repositories for digest in (A.digest, B.digest)}
    assert set(result.unlink_manifests) == (links if goes else set())


@pytest.mark.parametrize(("tags", "begun"), [((), (0, 1, 10)), (("v1",), (1, 2, 50))])
def test_what_a_run_begins_is_counted_once(tags: tuple[str, ...], begun: tuple[int, ...]) -> None:
    """It is what the fuse compares with what there is: a share that rules would suddenly delete."""
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.blobs = {"sha256:due": 10, "sha256:unlinked": 20, "sha256:first": 40}
    walk.repositories = {"r": Repository()}
    state = State(
        clock=Clock(now=10 * DAY),
        unneeded={"sha256:due": 1, "sha256:unlinked": 1},
        unlinked={"sha256:unlinked": Unlinked(["r"], 10 * DAY - 1)},
    )
    walk.now = 10 * DAY
    result = plan(walk, state, {"r": Decision({}, set(tags), {}, [])}, TIMES).begun
    assert (result.tags, result.blobs, result.size) == begun


@pytest.mark.parametrize(
    ("seconds", "gone"), [(TIMES.grace - 1, []), (TIMES.grace, [("r", "dead")])]
)
def test_what_is_left_of_a_deleted_tag_goes_after_the_grace(
    seconds: float, gone: list[tuple[str, str]]
) -> None:
    """Until then, who pushes it meanwhile may be in the middle of it."""
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.repositories = {"r": Repository(dead_tags={"dead": Tag(A.digest, 1, 1)})}
    retired = {"r": {"dead": 100.0, "back": 100.0}, "deleted": {"dead": 100.0}}
    state = State(clock=Clock(now=100 + seconds), retired=retired)
    assert plan(walk, state, {}, TIMES).dead_tags == gone
    assert state.retired == {"r": {"dead": 100}, "deleted": {}}


@pytest.mark.parametrize("seconds", [TIMES.grace - 1, TIMES.grace])
def test_uploads_and_what_tags_named_go_after_the_grace(seconds: float) -> None:
    """Nobody can go on with an upload without its start, and nobody reads what a tag has named."""
    walk = Walk(bucket := FakeBucket(), References(bucket))
    old, current = (tag_key("r", "v1", digest) for digest in (A.digest, B.digest))
    walk.repositories = {
        "r": Repository(
            tags={"v1": Tag(B.digest, 100, 100)},
            past={old: ("v1", 100), current: ("v1", 100)},
            uploads={"a": (["a/1", "a/2"], 100), "b": (["b/1"], 100), "c": (["c/1"], 100)},
            started={"c": 100},
        )
    }
    rest = plan(walk, State(clock=Clock(now=100 + seconds)), {}, TIMES).rest
    assert rest == (["a/1", "a/2", "b/1", old] if seconds >= TIMES.grace else [])


@pytest.mark.parametrize(
    ("blob", "linked", "goes", "why"),
    [
        (False, False, True, "nobody can want it back any more"),
        (False, True, False, "it is the only one of what is still linked"),
        (True, True, True, "the blob is there again"),
    ],
)
def test_a_copy_goes_unless_it_is_the_only_one_of_what_is_linked(
    blob: bool, linked: bool, goes: bool, why: str
) -> None:
    layer = digest_of(A.layers[1])
    walk = Walk(bucket := FakeBucket(), References(bucket))
    walk.now = 100 + TIMES.keep
    walk.blobs = {layer: 1} if blob else {}
    walk.repositories = {"r": Repository(layers={layer} if linked else set())}
    walk.swept = {layer: Entry("copy", 1, 100, "")}
    rest = plan(walk, State(clock=Clock(now=walk.now)), {}, TIMES).rest
    assert rest == (["copy"] if goes else []), why
