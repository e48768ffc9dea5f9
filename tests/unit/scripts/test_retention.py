"""Which tags and manifests stay."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from scripts.maintenance.retention import DAY, Retention, Rule, Untagged, decide, parse_retention
from scripts.maintenance.walk import Tag, Walk, link_key
from tests.unit.scripts.fake_bucket import Image, image, index
from tests.unit.scripts.fake_registry import World, done

NOW = 100 * DAY


def rule(
    repositories: Sequence[str] = ("*",),
    last: int = 0,
    days: float = 0,
    matching: Sequence[str] = (),
) -> Retention:
    return Retention([Rule(repositories, last, days, matching)])


def tags(**ages: float) -> dict[str, Tag]:
    """Tags of images of their own, with their ages in days."""
    return {name: Tag(f"sha256:{name}", NOW - age * DAY, NOW) for name, age in ages.items()}


@pytest.mark.parametrize(
    ("retention", "expired"),
    [
        (Retention(), set()),
        (rule(last=2), {"v1", "old"}),
        (rule(days=10), {"v1", "old"}),
        (rule(days=10.5), {"old"}),
        (rule(matching=["^v[0-9]"]), {"old", "new"}),
        (rule(matching=["1"]), {"old", "v2", "new"}),
        (rule(last=1, days=9.5, matching=["^o"]), {"v1"}),
        (rule(["other", "team/*"], last=1), {"v1", "v2", "old"}),
        (rule(["team"], last=1), set()),
    ],
)
def test_a_tag_stays_if_any_clause_keeps_it(retention: Retention, expired: set[str]) -> None:
    result = retention.expired("team/app", tags(new=0, v2=9, v1=10, old=50), NOW)
    assert result == expired


def test_the_rule_with_the_most_specific_pattern_decides() -> None:
    rules = [
        Rule(["*"], last=1, days=0, matching=[]),
        Rule(["team/*"], last=2, days=0, matching=[]),
        Rule(["team/a"], last=3, days=0, matching=[]),
    ]
    pushed = tags(new=0, old=50, older=60, oldest=70)
    for order in (rules, rules[::-1]):
        retention = Retention(order)
        assert len(retention.expired("team/a", pushed, NOW)) == 1
        assert len(retention.expired("team/ab", pushed, NOW)) == 2
        assert len(retention.expired("team", pushed, NOW)) == 3


def test_five_tags_of_one_image_count_once() -> None:
    result = tags(a=1, b=2, c=3)
    result |= {f"a{number}": Tag("sha256:a", NOW - number, NOW) for number in range(5)}
    assert rule(last=2).expired("r", result, NOW) == {"c"}


def test_a_tag_that_attaches_a_signature_does_not_count() -> None:
    result = tags(a=1, b=2) | {f"sha256-{'0' * 64}.sig": Tag("sha256:s", NOW, NOW)}
    assert rule(last=2).expired("r", result, NOW) == set()
    assert rule(last=1).expired("r", result, NOW) == {"b"}


def test_the_rules_are_read_as_the_component_writes_them() -> None:
    text = json.dumps(
        {
            "rules": [{"repositories": ["a/*"], "last": 2, "days": 3, "matching": ["^v"]}],
            "untagged_days": None,
        }
    )
    assert parse_retention(text) == Retention([Rule(["a/*"], 2, 3, ["^v"])], None)


A, B, C = (image(name.encode() + b" config", name.encode()) for name in "abc")
SIGNATURE = image(b"signature of a", subject=A.digest)
COSIGN = f"sha256-{A.digest[7:]}.sig"
BOTH = index(A, B)


def kept(
    pushes: Sequence[tuple[Image, str]],
    retention: Retention,
    *,
    runs: int = 1,
    days: float = 2,
) -> set[bytes]:
    """Push images one after the other, and return the manifests that stay some days later."""
    world = World()
    for pushed, tag in pushes:
        world.objects.clock += 10
        assert done(world.pods[0].push("r", pushed, tag))
    untagged: dict[str, Untagged] = {}
    for _ in range(runs):
        world.objects.clock += days * DAY
        decision = decide("r", Walk(world.objects), retention, untagged, DAY)
        untagged = decision.untagged
    manifests = {x.digest: x.manifest for x in (A, B, C, SIGNATURE, BOTH)}
    return {manifests[digest] for digest in decision.kept}


def test_without_rules_everything_stays() -> None:
    pushes = [(A, "x"), (B, "x"), (SIGNATURE, ""), (BOTH, "")]
    result = kept(pushes, Retention(), runs=9)
    assert result == {x.manifest for x in (A, B, SIGNATURE, BOTH)}


def test_what_is_pushed_within_the_last_day_stays() -> None:
    assert kept([(A, "a"), (B, "b")], rule(last=1), days=0.5) == {A.manifest, B.manifest}


def test_an_image_goes_with_its_last_tag_only() -> None:
    pushes = [(A, "old"), (B, "b"), (A, "new")]
    assert kept(pushes, rule(last=1)) == {A.manifest}


def test_a_manifest_without_a_tag_stays_for_its_days_after_it_was_first_seen_so() -> None:
    pushes = [(A, "x"), (B, "x")]
    assert kept(pushes, Retention(untagged_days=3), runs=2) == {A.manifest, B.manifest}
    assert kept(pushes, Retention(untagged_days=3), runs=3) == {B.manifest}


def test_the_children_of_an_index_stay_with_it_and_go_with_it() -> None:
    pushes = [(BOTH, "both"), (C, "c")]
    everything = {x.manifest for x in (A, B, BOTH, C)}
    assert kept(pushes, Retention(untagged_days=0)) == everything
    assert kept(pushes, rule(last=1)) == {C.manifest}


def test_a_child_stays_that_another_tag_holds() -> None:
    assert kept([(BOTH, "both"), (A, "a")], rule(last=1)) == {A.manifest}


@pytest.mark.parametrize("tag", ["", COSIGN])
def test_a_signature_stays_with_its_image_and_goes_with_it(tag: str) -> None:
    pushes = [(A, "a"), (SIGNATURE, tag)]
    assert kept(pushes, Retention(untagged_days=0)) == {A.manifest, SIGNATURE.manifest}
    assert kept([*pushes, (C, "c")], rule(last=1)) == {C.manifest}


def test_the_tag_of_a_signature_expires_with_its_image() -> None:
    world = World()
    for pushed, tag in ((A, "a"), (SIGNATURE, COSIGN), (C, "c")):
        world.objects.clock += 10
        assert done(world.pods[0].push("r", pushed, tag))
    world.objects.clock += 2 * DAY
    decision = decide("r", Walk(world.objects), rule(last=1), {}, DAY)
    assert decision.expired == {"a", COSIGN}


def test_a_tag_whose_manifest_is_lost_holds_what_can_be_found() -> None:
    world = World()
    assert done(world.pods[0].push("r", A, "a"))
    del world.objects.stored[link_key("r", "_manifests/revisions", A.digest)]
    world.objects.clock += 9 * DAY
    decision = decide("r", Walk(world.objects), Retention(untagged_days=0), {}, DAY)
    assert decision.kept == {A.digest: "r:a"}


def test_a_manifest_of_an_unknown_kind_holds_the_manifests_that_it_names() -> None:
    world = World()
    assert done(world.pods[0].push("r", A, ""))
    unknown = json.dumps({"schemaVersion": 2, "x": A.digest}).encode()
    assert done(world.pods[0].put_manifest("r", Image(unknown), "x"))
    world.objects.clock += 9 * DAY
    decision = decide("r", Walk(world.objects), Retention(untagged_days=0), {}, DAY)
    assert A.digest in decision.kept


def test_what_is_pushed_again_by_its_digest_waits_anew() -> None:
    world = World()
    assert done(world.pods[0].push("r", A, "x"))
    assert done(world.pods[0].push("r", B, "x"))
    untagged: dict[str, Untagged] = {}
    for days in (2, 2, 2):
        world.objects.clock += days * DAY
        decision = decide("r", Walk(world.objects), Retention(untagged_days=3), untagged, DAY)
        untagged = decision.untagged
        assert done(world.pods[0].push("r", A, ""))
    assert A.digest in decision.kept
