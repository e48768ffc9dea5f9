"""Tags and images that were deleted or overwritten come back, and are read before that is said."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.client.bring_back import RestoreError
from scripts.client.restore import Restore
from scripts.maintenance.history import RESTORED
from scripts.maintenance.keys import LAYERS, REVISIONS, blob_key, link_key, swept_key, tag_key
from scripts.maintenance.references import References, read_manifest
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, FakeBucket, Image, digest_of, image
from tests.unit.scripts.restoring import BucketRegistry, look, push, restored, sweep


@pytest.fixture
def bucket() -> FakeBucket:
    bucket = FakeBucket()
    push(bucket, A, 0.5)
    look(bucket, 1)
    return bucket


def test_an_image_that_was_deleted_comes_back_with_its_tag(bucket: FakeBucket) -> None:
    bucket.delete_manifest("r", A.digest)
    assert restored(bucket, "a") == [f"r:a@{A.digest} is back"]
    assert bucket.pulls("r", A, "a")


def test_a_tag_that_was_deleted_comes_back_after_further_looks(bucket: FakeBucket) -> None:
    before = dict(bucket.stored)
    bucket.delete_tag("r", "a")
    look(bucket, 2)
    look(bucket, 3)
    restored(bucket, "a")
    assert before.keys() <= bucket.stored.keys(), "with all links that a push writes"
    assert bucket.pulls("r", A, "a")


def test_all_of_it_is_read_before_it_is_said_to_be_back(bucket: FakeBucket) -> None:
    registry = BucketRegistry(bucket)
    bucket.delete_manifest("r", A.digest)
    restored(bucket, "a", registry=registry)
    layers = [f"v2/r/blobs/{digest_of(layer)}" for layer in A.layers]
    assert set(registry.served) == {*layers, f"v2/r/manifests/{A.digest}", "v2/r/manifests/a"}


@pytest.mark.parametrize("what", [LAYERS, REVISIONS, "tag"])
def test_what_cannot_be_read_is_not_said_to_be_back(bucket: FakeBucket, what: str) -> None:
    # Somebody, or the storage, undoes a write.
    bucket.delete_manifest("r", A.digest)

    class Refusing(BucketRegistry):
        def call(self, method: str, path: str, *args: Any, **more: Any) -> Any:
            if what == "tag":
                bucket.push("r", B, "a")
            else:
                bucket.stored.pop(link_key("r", what, digest_of(A.layers[0])), None)
                bucket.stored.pop(link_key("r", what, A.digest), None)
            return super().call(method, path, *args, **more)

    message = f"but r:a names {B.digest}" if what == "tag" else "but cannot be read: GET .* 404"
    with pytest.raises(RestoreError, match=f"all of it is written, {message}"):
        restored(bucket, "a", registry=Refusing(bucket))


def test_without_a_registry_it_is_said_that_nothing_was_read(bucket: FakeBucket) -> None:
    bucket.delete_manifest("r", A.digest)
    (line,) = Restore(bucket, None).tag("r", "a", None)
    assert line == f"r:a@{A.digest} is written, and was not read: no registry is given"
    assert bucket.pulls("r", A, "a")


def test_content_is_written_before_links_and_links_before_tags(bucket: FakeBucket) -> None:
    # Or a pull, or a run of the maintenance, would find an image that has lost something.
    layers = [digest_of(layer) for layer in A.layers]
    bucket.delete_manifest("r", A.digest)
    sweep(bucket, A.digest, *layers)
    written: list[str] = []

    def note(method: str, key: str) -> None:
        if method in {"PUT", "COPY"}:
            written.append(key)

    bucket.before = note
    restored(bucket, "a")
    kinds = {
        **dict.fromkeys(map(swept_key, [A.digest, *layers]), 1),
        **{link_key("r", LAYERS, layer): 2 for layer in layers},
        link_key("r", REVISIONS, A.digest): 3,
        # Before the tag, or a run that starts now would count it as pushed now.
        RESTORED: 4,
        tag_key("r", "a", A.digest): 5,
        tag_key("r", "a"): 6,
    }
    order = [kinds[key] for key in written]
    assert order == sorted(order)
    assert written.count(RESTORED) == 1
    assert kinds.keys() == set(written)


@pytest.fixture
def overwritten(bucket: FakeBucket) -> FakeBucket:
    """Make the tag name A for ten hours, then B for ten hours, then C."""
    for hours in range(2, 31):
        if hours in {10, 20}:
            push(bucket, B if hours == 10 else C, hours - 0.5)
        look(bucket, hours)
    return bucket


def test_a_tag_that_was_overwritten_names_its_last_image_again(overwritten: FakeBucket) -> None:
    restored(overwritten, "a")
    assert overwritten.pulls("r", B, "a")


@pytest.mark.parametrize(
    ("hours", "named"),
    [(0.5, A), (5, A), (9.4, A), (9.5, B), (9.9, B), (12, B), (19.4, B), (19.5, C), (50, C)],
)
def test_a_tag_names_what_it_named_at_some_time(
    overwritten: FakeBucket, hours: float, named: Image
) -> None:
    restored(overwritten, "a", hours)
    assert overwritten.pulls("r", named, "a")


def test_what_was_restored_is_what_a_tag_named_last(bucket: FakeBucket) -> None:
    # By the times of their pushes, it would be the other one.
    push(bucket, B, 1.5)
    look(bucket, 2)
    bucket.clock += 3600
    restored(bucket, "a")
    look(bucket, 4)
    bucket.delete_tag("r", "a")
    look(bucket, 5)
    restored(bucket, "a")
    assert bucket.pulls("r", A, "a")
    look(bucket, 6)
    restored(bucket, "a", 2.5)
    assert bucket.pulls("r", B, "a")


def test_a_time_before_the_first_push_is_refused_with_what_is_known(
    overwritten: FakeBucket,
) -> None:
    known = (
        f"named {C.digest} from 1970-01-01 19:30 UTC to 1970-01-02 06:00 UTC, "
        f"{B.digest} from 1970-01-01 09:30 UTC to 1970-01-01 19:00 UTC, {A.digest} from"
    )
    with pytest.raises(RestoreError, match=f"named anything on 1970-01-01 00:24 UTC; .* {known}"):
        restored(overwritten, "a", 0.4)
    with pytest.raises(RestoreError, match="known to have named nothing"):
        restored(overwritten, "b")


def test_an_index_comes_back_with_its_children() -> None:
    bucket = FakeBucket()
    bucket.push("r", OF_BOTH, "a")
    look(bucket, 1)
    for deleted in (OF_BOTH, A, C):
        bucket.delete_manifest("r", deleted.digest)
    restored(bucket, "a")
    assert bucket.pulls("r", OF_BOTH, "a")


@pytest.mark.parametrize("signed", [OF_BOTH, A])
def test_the_signature_of_an_image_or_of_a_child_comes_back_with_it(signed: Image) -> None:
    bucket = FakeBucket()
    bucket.push("r", OF_BOTH, "a")
    signature = image(b"signature")
    tag = f"{signed.digest.replace(':', '-')}.sig"
    bucket.push("r", image(b"older signature"), tag)
    look(bucket, 1)
    push(bucket, signature, 1.5, tag)
    bucket.push("other", B, tag)
    look(bucket, 2)
    bucket.delete_manifest("r", OF_BOTH.digest)
    assert len(restored(bucket, "a")) == 1, "the signature is there"
    for deleted in (OF_BOTH, A, C, signature):
        bucket.delete_manifest("r", deleted.digest)
    bucket.delete_manifest("other", B.digest)
    look(bucket, 3)
    assert len(restored(bucket, "a")) == 2
    assert bucket.pulls("r", signature, tag)


def test_a_signature_that_is_newer_than_the_deletion_stays(bucket: FakeBucket) -> None:
    # Whoever signs again overwrites the tag.
    tag = f"{A.digest.replace(':', '-')}.sig"
    push(bucket, image(b"signature"), 1.2, tag)
    look(bucket, 2)
    push(bucket, image(b"newer signature"), 2.5, tag)
    bucket.delete_manifest("r", A.digest)
    assert len(restored(bucket, "a")) == 1
    assert bucket.pulls("r", image(b"newer signature"), tag)


def test_an_image_comes_back_without_a_signature_that_is_gone_and_that_is_said(
    bucket: FakeBucket,
) -> None:
    signature = image(b"signature")
    tag = f"{A.digest.replace(':', '-')}.sig"
    bucket.push("r", signature, tag)
    look(bucket, 2)
    for deleted in (A, signature):
        bucket.delete_manifest("r", deleted.digest)
    del bucket.stored[blob_key(signature.digest)]
    with pytest.raises(RestoreError, match=f"r:{tag}, last seen on .*, is not back: the manif"):
        restored(bucket, "a")
    assert bucket.pulls("r", A, "a")


@pytest.mark.parametrize("unlinked", [True, False])
def test_what_describes_an_image_without_a_tag_comes_back_with_it(
    bucket: FakeBucket, unlinked: bool
) -> None:
    # Such as a bill of materials that a client attaches as a referrer. Its link goes last.
    bill = image(b"bill of materials", subject=A.digest)
    bucket.push("r", bill)
    bucket.push("other", bill)
    bucket.delete_manifest("r", A.digest)
    assert len(restored(bucket, "a")) == 1, "it is there"
    referrers = References(bucket)
    referrers.add(bill.digest, read_manifest(bill.manifest))
    referrers.save([bill.digest])
    bucket.delete_manifest("r", A.digest)
    sweep(bucket, bill.digest, *map(digest_of, bill.layers))
    if not unlinked:
        bucket.put(link_key("r", REVISIONS, bill.digest), bill.digest.encode())
    assert restored(bucket, "a") == [
        f"r:a@{A.digest} is back",
        f"r@{bill.digest} is back",
    ]
    assert bucket.pulls("r", bill)


def test_an_image_comes_back_by_its_digest(bucket: FakeBucket) -> None:
    bucket.delete_manifest("r", A.digest)
    assert restored(bucket, A.digest) == [f"r@{A.digest} is back"]
    assert bucket.pulls("r", A)
    assert tag_key("r", "a") not in bucket.stored


@pytest.mark.parametrize("missing", [A.digest, digest_of(A.layers[1])])
def test_an_image_that_is_gone_for_good_is_refused_and_nothing_is_written(
    bucket: FakeBucket, missing: str
) -> None:
    bucket.delete_manifest("r", A.digest)
    sweep(bucket, digest_of(A.layers[0]))
    del bucket.stored[blob_key(missing)]
    before = dict(bucket.stored)
    with pytest.raises(
        RestoreError, match=rf"r:a, last seen on 1970-01-01.*, is not back.*{missing}"
    ):
        restored(bucket, "a")
    assert bucket.stored == before
