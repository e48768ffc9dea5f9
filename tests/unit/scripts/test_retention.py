"""Which tags and manifests stay."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from scripts.maintenance.clock import DAY, Clock
from scripts.maintenance.images import subject_of
from scripts.maintenance.keys import link_key
from scripts.maintenance.references import References
from scripts.maintenance.repository import Tag
from scripts.maintenance.retention import (
    Retention,
    Rule,
    decide,
    keep_all,
    parse_retention,
)
from scripts.maintenance.state import State
from scripts.maintenance.walk import Walk
from tests.unit.scripts.fake_bucket import Image
from tests.unit.scripts.fake_registry import World, done
from tests.unit.scripts.retained import (
    BOTH,
    COSIGN,
    HEX,
    NAMED_AFTER,
    OLD_SIGNATURE,
    SIGNATURE,
    A,
    B,
    C,
    Days,
    digests,
    rule,
)

NOW = 100 * DAY


def tags(**ages: float) -> dict[str, Tag]:
    """Tags of images of their own, with their ages in days."""
    return {name: Tag(f"sha256:{name}", NOW - age * DAY, NOW) for name, age in ages.items()}


def expired(retention: Retention, name: str, pushed: Mapping[str, Tag]) -> set[str]:
    found = retention.rule(name)
    return found.expired(pushed, (), Clock(NOW)) if found else set()


@pytest.mark.parametrize(
    ("retention", "gone"),
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
def test_a_tag_stays_if_any_clause_keeps_it(retention: Retention, gone: set[str]) -> None:
    assert expired(retention, "team/app", tags(new=0, v2=9, v1=10, old=50)) == gone


def test_the_rule_with_the_most_specific_pattern_decides() -> None:
    rules = [
        Rule("all", ["*"], last=1, days=0, matching=[]),
        Rule("team", ["team/*"], last=2, days=0, matching=[]),
        Rule("one", ["team/a"], last=3, days=0, matching=[]),
    ]
    pushed = tags(new=0, old=50, older=60, oldest=70)
    for order in (rules, rules[::-1]):
        retention = Retention(order)
        assert len(expired(retention, "team/a", pushed)) == 1
        assert len(expired(retention, "team/ab", pushed)) == 2
        assert len(expired(retention, "team", pushed)) == 3


def test_five_tags_of_one_image_count_once() -> None:
    pushed = tags(a=1, b=2, c=3)
    pushed |= {f"a{number}": Tag("sha256:a", NOW - number, NOW) for number in range(5)}
    assert expired(rule(last=2), "r", pushed) == {"c"}


@pytest.mark.parametrize("tag", NAMED_AFTER)
def test_a_tag_that_is_named_after_a_digest_does_not_count_and_no_clause_lets_it_go(
    tag: str,
) -> None:
    pushed = tags(a=1, b=2) | {tag: Tag("sha256:s", NOW - 1000 * DAY, NOW)}
    assert expired(rule(last=2), "r", pushed) == set()
    assert expired(rule(last=1), "r", pushed) == {"b"}
    newest = {tag: Tag("sha256:s", NOW, NOW)}
    assert expired(rule(last=1), "r", tags(a=1, b=2) | newest) == {"b"}
    assert expired(rule(matching=["^v"]), "r", pushed) == {"a", "b"}


@pytest.mark.parametrize(
    "tag", ["sha256", f"sha256-{HEX[:63]}", f"x-sha256-{HEX[:64]}", f"sha1-{HEX[:64]}", "v1.sig"]
)
def test_a_tag_that_only_looks_so_is_one_like_any_other(tag: str) -> None:
    assert subject_of(tag) == ""


def test_a_restored_tag_is_not_expired_and_pushes_nothing_out() -> None:
    pushed = tags(a=1, b=2, c=3)
    restored = {"old": Tag("sha256:old", NOW - 90 * DAY, NOW, pinned=True)}
    assert expired(rule(last=2), "r", restored | pushed) == {"c"}
    assert expired(rule(days=2), "r", restored | pushed) == {"b", "c"}


def test_the_rules_are_read_as_the_component_writes_them() -> None:
    written = {"name": "a", "repositories": ["a/*"], "last": 2, "days": 3, "matching": ["^v"]}
    text = json.dumps({"rules": [written], "untagged_days": None})
    assert parse_retention(text) == Retention([Rule("a", ["a/*"], 2, 3, ["^v"])], None)


def test_without_rules_everything_stays() -> None:
    days = Days(Retention(), (A, "x"), (B, "x"), (SIGNATURE, ""), (BOTH, ""))
    assert days.kept(30) == digests(A, B, SIGNATURE, BOTH)
    assert not days.decision.expired


def test_what_is_pushed_within_the_last_day_stays() -> None:
    assert Days(rule(last=1), (A, "a"), (B, "b")).kept(runs=1) == digests(A, B)


def test_a_copy_of_the_bucket_expires_nothing_for_a_day() -> None:
    """In it all pushes are old and all objects new, and its registry may just have started."""
    world = World()
    for pushed, tag in ((A, "old"), (B, "new")):
        assert done(world.pods[0].push("r", pushed, tag))
    walk = Walk(world.objects, References(world.objects))
    tags = walk.repositories["r"].tags
    for number, tag in enumerate(("old", "new"), 1):
        tags[tag] = tags[tag]._replace(pushed=number)
    after: list[tuple[int, set[str]]] = [(23, set()), (25, {"old"})]
    for hours, gone in after:
        clock = Clock(now=tags["old"].modified + hours * 3600)
        assert decide("r", walk, rule(last=1), State(clock=clock), DAY).expired == gone


def test_of_what_was_pushed_in_the_same_second_nobody_knows_the_last_so_all_stays() -> None:
    tags = {tag: Tag(x.digest, pushed, pushed) for tag, x, pushed in (("a", A, 5), ("b", B, 5))}
    older = {"c": Tag(C.digest, 4, 4)}
    clock = Clock(now=1000)
    assert Rule("r", ["*"], 1, 0, []).expired(older | tags, [], clock) == {"c"}
    assert Rule("r", ["*"], 0, 0, []).expired(older | tags, [], clock) == {"a", "b", "c"}


def test_an_image_goes_with_its_last_tag_only() -> None:
    assert Days(rule(last=1), (A, "old"), (B, "b"), (A, "new")).kept() == digests(A)


def test_a_manifest_without_a_tag_stays_for_its_days_after_it_was_first_seen_so() -> None:
    days = Days(Retention(untagged_days=3), (A, "x"), (B, "x"))
    # On the first day it was just pushed.
    days.look(2)
    assert days.kept(runs=3) == digests(A, B)
    assert days.kept(runs=1) == digests(B)


def test_the_children_of_an_index_stay_with_it_and_go_with_it() -> None:
    everything = digests(A, B, BOTH, C)
    assert Days(Retention(untagged_days=0), (BOTH, "both"), (C, "c")).kept() == everything
    assert Days(rule(last=1), (BOTH, "both"), (C, "c")).kept() == digests(C)


def test_a_child_stays_that_another_tag_holds() -> None:
    assert Days(rule(last=1), (BOTH, "both"), (A, "a")).kept() == digests(A)


def test_a_signature_stays_with_its_image_and_goes_with_it() -> None:
    pushes = [(A, "a"), (SIGNATURE, "")]
    assert Days(Retention(untagged_days=0), *pushes).kept() == digests(A, SIGNATURE)
    assert Days(rule(last=1), *pushes, (C, "c")).kept() == digests(C)


def test_an_untagged_manifest_does_not_go_with_an_image_that_only_mentions_it() -> None:
    """The base of an image is in its annotations, and may run by its digest."""
    content = json.loads(A.manifest)
    content["annotations"] = {"org.opencontainers.image.base.digest": B.digest}
    built = Image(json.dumps(content).encode(), A.layers)
    days = Days(rule(last=1), (B, ""), (built, "a"), (C, "c"))
    assert days.kept(30) == digests(B, C)
    assert Days(Retention(untagged_days=1), (B, ""), (built, "a")).kept() == digests(built, B)


def test_a_tag_whose_manifest_is_lost_holds_what_can_be_found() -> None:
    days = Days(Retention(untagged_days=0), (A, "a"))
    del days.world.objects.stored[link_key("r", "_manifests/revisions", A.digest)]
    assert days.look(9).kept == {A.digest: "r:a"}


def test_a_manifest_of_an_unknown_kind_holds_the_manifests_that_it_names() -> None:
    days = Days(Retention(untagged_days=0), (A, ""))
    unknown = json.dumps({"schemaVersion": 2, "x": A.digest}).encode()
    assert done(days.world.pods[0].put_manifest("r", Image(unknown), "x"))
    assert A.digest in days.kept(9)


def test_what_is_pushed_again_by_its_digest_waits_anew() -> None:
    days = Days(Retention(untagged_days=3), (A, "x"), (B, "x"))
    for _ in range(4):
        days.look(2)
        days.push(A, "")
    assert A.digest in days.kept(2)


def test_all_of_a_repository_stays_that_is_not_understood() -> None:
    days = Days(rule(last=1), (A, "a"), (B, ""), (OLD_SIGNATURE, COSIGN), (C, "c"))
    untagged = {"sha256:x": days.look(3).untagged[B.digest]}
    before = State(untagged={"r": untagged}, subjects={"r": [COSIGN]})
    walk = Walk(days.world.objects, References(days.world.objects))
    decision = keep_all("r", walk, before)
    assert decision.all
    assert {*decision.kept} == digests(A, B, OLD_SIGNATURE, C)
    assert (decision.untagged, decision.subjects) == (untagged, [COSIGN])
    assert not decision.expired
