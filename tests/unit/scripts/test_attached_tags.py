"""Tags that are named after a digest: signatures, referrers, and what only looks so."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from scripts.maintenance.images import subject_of
from scripts.maintenance.keys import ROOT, link_key
from scripts.maintenance.retention import Retention
from tests.unit.scripts.fake_bucket import image, index
from tests.unit.scripts.retained import (
    BOTH,
    COSIGN,
    HEX,
    NAMED_AFTER,
    OLD_SIGNATURE,
    A,
    B,
    C,
    Days,
    digests,
    rule,
)


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
