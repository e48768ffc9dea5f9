"""Which tags and manifests stay."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest

from scripts.maintenance.clock import DAY, Clock
from scripts.maintenance.images import subject_of
from scripts.maintenance.keys import ROOT, link_key, tag_key
from scripts.maintenance.references import References
from scripts.maintenance.retention import (
    Before,
    Decision,
    Retention,
    Rule,
    decide,
    keep_all,
    parse_retention,
)
from scripts.maintenance.walk import Tag, Walk
from tests.unit.scripts.fake_bucket import Image, image, index
from tests.unit.scripts.fake_registry import World, done

NOW = 100 * DAY


def rule(
    repositories: Sequence[str] = ("*",),
    last: int = 0,
    days: float = 0,
    matching: Sequence[str] = (),
) -> Retention:
    return Retention([Rule("rule", repositories, last, days, matching)])


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


HEX = "0123456789abcdef" * 8
NAMED_AFTER = [
    *(f"sha256-{HEX[:64]}{ending}" for ending in ("", ".sig", ".att", ".sbom", ".imgpkg", ".x.y")),
    f"sha384-{HEX[:96]}",
    *(f"sha512-{HEX}{ending}" for ending in ("", ".sig")),
    # Referrers' own tag ends after 64 digits.
    f"sha512-{HEX[:64]}",
]


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


A, B, C = (image(name.encode() + b" config", name.encode()) for name in "abc")
SIGNATURE = image(b"signature of a", subject=A.digest)
OLD_SIGNATURE = image(b"signature of a, as cosign 2 makes it")
COSIGN = f"sha256-{A.digest[7:]}.sig"
BOTH = index(A, B)
CHILD_SIGNATURE = f"sha256-{B.digest[7:]}.sig"


class Days:
    """A registry's bucket, and what its maintenance decides as days pass.

    Attributes:
        world: The bucket and the registry.
        decision: What was decided last for the repository r.
    """

    def __init__(self, retention: Retention, *pushes: tuple[Image, str]) -> None:
        self.world, self._retention = World(), retention
        self._before, self._clock = Before(), Clock()
        for pushed, tag in pushes:
            self.push(pushed, tag)

    def push(self, pushed: Image, tag: str, name: str = "r") -> None:
        self.world.objects.clock += 10
        assert done(self.world.pods[0].push(name, pushed, tag))

    def delete(self, deleted: Image, name: str = "r") -> None:
        kind = "_manifests/revisions"
        assert done(self.world.pods[0].delete(name, kind, deleted.digest)) == 202

    def look(self, runs: int = 1, days: float = 0.9) -> Decision:
        """Let so many runs see so many days pass between them; what expires is deleted."""
        bucket = self.world.objects
        for _ in range(runs):
            bucket.clock += days * DAY
            walk = Walk(bucket, References(bucket))
            assert not self._clock.advance(walk.now, walk.now)
            self.decision = decide("r", walk, self._retention, self._before, self._clock, DAY)
            self._before = Before(self.decision.untagged, self.decision.subjects)
            for tag in self.decision.expired:
                bucket.delete(tag_key("r", tag))
        return self.decision

    def kept(self, runs: int = 3) -> set[str]:
        return set(self.look(runs).kept)


def digests(*images: Image) -> set[str]:
    return {x.digest for x in images}


def test_without_rules_everything_stays() -> None:
    days = Days(Retention(), (A, "x"), (B, "x"), (SIGNATURE, ""), (BOTH, ""))
    assert days.kept(30) == digests(A, B, SIGNATURE, BOTH)
    assert not days.decision.expired


def test_what_is_pushed_within_the_last_day_stays() -> None:
    assert Days(rule(last=1), (A, "a"), (B, "b")).kept(runs=1) == digests(A, B)


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


def test_the_tag_of_a_signature_expires_when_its_image_is_gone() -> None:
    days = Days(rule(last=1), (A, "a"), (OLD_SIGNATURE, COSIGN), (C, "c"))
    assert days.look(2).expired == {"a"}
    assert days.look(1).expired == set(), "the image is still there"
    days.delete(A)
    assert days.look(1).expired == {COSIGN}


def test_a_signature_of_a_deleted_image_stays_if_no_rule_names_its_repository() -> None:
    retention = Retention(rule(["other"], last=1).rules, untagged_days=1)
    days = Days(retention, (A, "a"), (OLD_SIGNATURE, COSIGN))
    days.look()
    days.delete(A)
    assert days.kept(30) == digests(OLD_SIGNATURE)


@pytest.mark.parametrize("tag", NAMED_AFTER)
def test_a_tag_whose_subject_was_never_in_its_repository_stays(tag: str) -> None:
    """imgpkg and oc-mirror name an image so, and cosign may keep signatures elsewhere:
    https://github.com/carvel-dev/imgpkg/issues/144 and
    https://github.com/openshift/oc-mirror/issues/898"""
    retention = Retention(rule(last=1).rules, untagged_days=1)
    days = Days(retention, (OLD_SIGNATURE, tag), (C, "c"))
    assert days.kept(30) == digests(OLD_SIGNATURE, C)


@pytest.mark.parametrize("ending", ["", ".imgpkg"])
def test_a_tag_that_is_named_after_its_own_image_keeps_it(ending: str) -> None:
    days = Days(rule(last=1), (A, f"sha256-{A.digest[7:]}{ending}"), (C, "c"))
    assert days.kept(30) == digests(A, C)


def test_a_signature_stays_as_long_as_its_image_is_in_any_repository() -> None:
    days = Days(rule(last=1), (A, "a"), (OLD_SIGNATURE, COSIGN))
    days.push(A, "a", "copies")
    days.look()
    days.delete(A)
    assert days.look(30).expired == set()
    days.delete(A, "copies")
    assert days.look(1).expired == {COSIGN}


def test_referrers_stay_with_a_tag_that_lists_several_of_them() -> None:
    """https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema"""
    one, two = (image(name, subject=A.digest) for name in (b"sbom", b"scan"))
    referrers = f"sha256-{A.digest[7:]}"
    retention = Retention(rule(last=1).rules, untagged_days=1)
    days = Days(retention, (A, "a"), (one, ""), (two, ""), (index(one, two), referrers))
    assert days.kept(30) == digests(A, one, two, index(one, two))
    days.delete(A)
    assert days.look(1).expired == {referrers}
    assert days.kept(1) == set()


def test_a_short_tag_finds_its_subject_of_another_algorithm() -> None:
    days = Days(rule(last=1), (OLD_SIGNATURE, f"sha512-{HEX[:64]}"), (C, "c"))
    link = link_key("r", "_manifests/revisions", f"sha512:{HEX}")
    days.world.objects.put(link, f"sha512:{HEX}".encode())
    assert days.look(3).expired == set()
    assert len(days.decision.subjects) == 1
    days.world.objects.delete(link)
    assert days.look(1).expired == {f"sha512-{HEX[:64]}"}


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
    before = Before({"sha256:x": days.look(3).untagged[B.digest]}, [COSIGN])
    walk = Walk(days.world.objects, References(days.world.objects))
    decision = keep_all("r", walk, before)
    assert decision.all
    assert {*decision.kept} == digests(A, B, OLD_SIGNATURE, C)
    assert (decision.untagged, decision.subjects) == (before.untagged, before.subjects)
    assert not decision.expired


IMAGES = [A, B, C, BOTH]


def test_in_generated_repositories_tags_go_only_by_a_rule_that_names_them() -> None:
    chosen = random.Random(1)  # noqa: S311 - the same repositories in each run
    seen: Counter[str] = Counter()
    for _ in range(150):
        limited = chosen.random() < 0.7
        retention = Retention(
            rule(["r" if limited else "other"], last=chosen.randrange(1, 3)).rules,
            untagged_days=chosen.choice([None, 0, 2]),
        )
        days, met = Days(retention), set[str]()
        for _ in range(10):
            happen(days, chosen)
            before, revisions = tags_of(days), revisions_of(days, "r")
            kept = days.look(chosen.randrange(1, 3)).kept
            gone = before.keys() - tags_of(days).keys()
            assert limited or not gone, "no rule names the repository"
            for tag in gone:
                if subject := subject_of(tag):
                    assert subject not in revisions | revisions_of(days, "elsewhere")
                    assert tag in met, "its subject was there"
                    assert subject != before[tag]
                seen["orphan" if subject_of(tag) else "expired"] += 1
            assert tags_of(days).items() <= before.items()
            assert {*tags_of(days).values()} <= kept.keys(), "a tag keeps what it names"
            seen["manifest"] += len(revisions - kept.keys())
            met = {x for x in tags_of(days) if x in met or subject_of(x) in revisions}
    assert min(seen[x] for x in ("orphan", "expired", "manifest")) > 20, "all of it happens"


def happen(days: Days, chosen: random.Random) -> None:
    """Let clients push and delete some images."""
    for _ in range(chosen.randrange(1, 4)):
        pushed, name = chosen.choice(IMAGES), chosen.choice(["r", "r", "r", "elsewhere"])
        kind = chosen.randrange(5)
        if kind < 2:
            days.push(pushed, chosen.choice(["", "a", "b", "c", "d"]), name)
        elif kind < 3:
            tag = f"sha256-{pushed.digest[7:]}{chosen.choice(['', '.sig'])}"
            days.push(chosen.choice([pushed, OLD_SIGNATURE]), tag, name)
        elif pushed.digest in revisions_of(days, name):
            days.delete(pushed, name)


def tags_of(days: Days) -> dict[str, str]:
    folder = f"{ROOT}repositories/r/_manifests/tags/"
    return {
        key[len(folder) :].split("/")[0]: content.decode()
        for key, content in days.world.objects.stored.items()
        if key.startswith(folder) and key.endswith("/current/link")
    }


def revisions_of(days: Days, name: str) -> set[str]:
    folder = f"{ROOT}repositories/{name}/_manifests/revisions/"
    stored = days.world.objects.stored.items()
    return {content.decode() for key, content in stored if key.startswith(folder)}
