"""Tags and images that were deleted come back."""

from __future__ import annotations

import pytest

from scripts.restore import Restore, RestoreError
from scripts.state import State, load
from scripts.walk import blob_key, link_key, swept_key, tag_key
from tests.unit.scripts.fake_registry import World, digest_of, done, image
from tests.unit.scripts.situations import (
    INDEX,
    LAST,
    UNTAGGED,
    A,
    B,
    C,
    deleted,
    expired,
)

EVER = float("inf")


def restored(world: World, reference: str, before: float = EVER) -> list[str]:
    restore = Restore(world.objects, "r")
    by_digest = reference.startswith("sha256:")
    return list(restore.digest(reference) if by_digest else restore.tag(reference, before))


def pushed_and_seen() -> World:
    world = World()
    assert done(world.pods[0].push("r", A, "a"))
    world.collect()
    return world


def test_an_image_that_was_deleted_by_its_digest_comes_back_with_its_tag() -> None:
    world = pushed_and_seen()
    assert done(world.pods[1].delete("r", "_manifests/revisions", A.digest)) == 202
    assert restored(world, "a") == [
        f"r@{A.digest} is back",
        f"r:a names {A.digest}, as on 1970-01-12 13:56 UTC",
    ]
    assert not world.broken("r", A, "a")


def test_a_tag_that_was_deleted_comes_back_after_further_runs() -> None:
    world = pushed_and_seen()
    done(world.pods[1].delete_tag("r", "a"))
    for _ in range(20):
        world.collect()
    restored(world, "a")
    assert not world.broken("r", A, "a")


def test_a_tag_that_was_overwritten_names_its_last_image_again() -> None:
    world = World(UNTAGGED)
    for pushed in (A, B, C):
        assert done(world.pods[0].push("r", pushed, "a"))
        world.collect()
    restored(world, "a")
    assert not world.broken("r", B, "a")


def test_a_tag_names_what_it_named_at_some_time() -> None:
    world = World()
    for pushed in (A, B, C):
        assert done(world.pods[0].push("r", pushed, "a"))
        world.collect()
    restored(world, "a", before=world.objects.clock - 900)
    assert not world.broken("r", A, "a")


@pytest.mark.parametrize("runs", range(2, 7))
def test_an_image_comes_back_that_is_about_to_be_deleted_or_was(runs: int) -> None:
    world = pushed_and_seen()
    assert done(world.pods[1].delete("r", "_manifests/revisions", A.digest)) == 202
    for _ in range(runs - 1):
        world.collect()
    if all(
        swept_key(x) in world.objects.stored or blob_key(x) in world.objects.stored for x in parts()
    ):
        restored(world, "a")
        assert not world.broken("r", A, "a")
        for _ in range(9):
            world.collect()
            assert not world.broken("r", A, "a")
    else:
        with pytest.raises(RestoreError):
            restored(world, "a")


def parts() -> list[str]:
    return [A.digest, *map(digest_of, A.layers)]


def test_a_tag_that_a_rule_deleted_comes_back() -> None:
    world = World(LAST)
    expired(world)
    world.objects.clock -= 300
    world.collect()
    world.collect()
    assert tag_key("r", "a") not in world.objects.stored
    restored(world, "a")
    assert not world.broken("r", A, "a")


def test_an_index_comes_back_with_its_children() -> None:
    world = World(UNTAGGED)
    assert done(world.pods[0].push("r", INDEX, "a"))
    world.collect()
    assert done(world.pods[0].delete("r", "_manifests/revisions", INDEX.digest)) == 202
    for child in (A, C):
        assert done(world.pods[0].delete("r", "_manifests/revisions", child.digest)) == 202
    restored(world, "a")
    assert not world.broken("r", INDEX, "a")


def test_the_signature_of_an_image_comes_back_with_it() -> None:
    world = World()
    signature = image(b"signature")
    cosign = f"{A.digest.replace(':', '-')}.sig"
    assert done(world.pods[0].push("r", A, "a"))
    assert done(world.pods[0].push("r", signature, cosign))
    world.collect()
    for pushed in (A, signature):
        assert done(world.pods[0].delete("r", "_manifests/revisions", pushed.digest)) == 202
    world.collect()
    restored(world, "a")
    assert not world.broken("r", signature, cosign)


def test_an_image_that_is_gone_for_good_is_refused_with_the_date_and_nothing_is_written() -> None:
    world = pushed_and_seen()
    assert done(world.pods[1].delete("r", "_manifests/revisions", A.digest)) == 202
    for _ in range(12):
        world.collect()
    before = dict(world.objects.stored)
    with pytest.raises(RestoreError, match=r"r:a was last seen on 1970-01-12 13:56 UTC, too long"):
        restored(world, "a")
    assert world.objects.stored == before


def test_a_tag_that_was_never_anything_else_is_refused_with_what_is_known() -> None:
    world = pushed_and_seen()
    with pytest.raises(RestoreError, match=rf"known to have named {A.digest} until 1970-01-12"):
        restored(world, "a")
    with pytest.raises(RestoreError, match="known to have named nothing"):
        restored(world, "b")


def test_a_manifest_that_is_damaged_or_not_understood_is_refused() -> None:
    world = World()
    digest = digest_of(b"[]")
    world.objects.put(blob_key(digest), b"[]")
    with pytest.raises(RestoreError, match="not understood"):
        restored(world, digest)
    world.objects.put(blob_key(digest), b"{}")
    with pytest.raises(RestoreError, match="damaged"):
        restored(world, digest)


def test_what_is_known_of_tags_is_limited_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.state.RECORD_SECONDS", 2000)
    world = pushed_and_seen()
    done(world.pods[1].delete_tag("r", "a"))
    for _ in range(3):
        world.collect()
    assert [gone.tag for gone in load(world.objects).gone] == ["a"]
    for _ in range(3):
        world.collect()
    assert not load(world.objects).gone


def test_a_bucket_that_was_never_looked_at_remembers_nothing() -> None:
    assert load(World().objects) == State()


def test_a_deleted_manifest_is_no_reason_to_restore_its_neighbours() -> None:
    world = World()
    deleted(world)
    restored(world, A.digest)
    assert link_key("r", "_manifests/revisions", A.digest) in world.objects.stored
    assert tag_key("r", "a") not in world.objects.stored, "a digest has no tag"
