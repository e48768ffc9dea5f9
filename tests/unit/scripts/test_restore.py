"""Tags and images that were deleted or overwritten come back."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from scripts.client import restore
from scripts.client.restore import Restore, RestoreError
from scripts.maintenance import tag_history
from scripts.maintenance.tag_history import load, save
from scripts.maintenance.walk import Walk, blob_key, link_key, swept_key, tag_key
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, FakeBucket, Image, digest_of, image

HOUR = 3600


def look(bucket: FakeBucket, hours: float) -> None:
    """Remember what tags name, some hours after 1970 began."""
    history = load(bucket)
    history.record(Walk(bucket), hours * HOUR)
    save(bucket, history)


def restored(bucket: FakeBucket, reference: str, hours: float | None = None) -> list[str]:
    restoring = Restore(bucket, "r")
    if reference.startswith("sha256:"):
        return list(restoring.digest(reference))
    return list(restoring.tag(reference, None if hours is None else hours * HOUR))


@pytest.fixture
def bucket() -> FakeBucket:
    bucket = FakeBucket()
    push(bucket, A, 0.5)
    look(bucket, 1)
    return bucket


def push(bucket: FakeBucket, pushed: Image, hours: float) -> None:
    bucket.clock = hours * HOUR
    bucket.push("r", pushed, "a")


def test_an_image_that_was_deleted_comes_back_with_its_tag(bucket: FakeBucket) -> None:
    bucket.delete_manifest("r", A.digest)
    assert restored(bucket, "a") == [
        f"r@{A.digest} is back",
        f"r:a names {A.digest}, as on 1970-01-01 01:00 UTC",
    ]
    assert bucket.pulls("r", A, "a")


def test_a_tag_that_was_deleted_comes_back_after_further_looks(bucket: FakeBucket) -> None:
    before = dict(bucket.stored)
    bucket.delete_tag("r", "a")
    look(bucket, 2)
    look(bucket, 3)
    restored(bucket, "a")
    assert before.keys() <= bucket.stored.keys(), "with all links that a push writes"
    assert bucket.pulls("r", A, "a")


def test_an_image_whose_layers_were_unlinked_comes_back(bucket: FakeBucket) -> None:
    bucket.delete_manifest("r", A.digest)
    for layer in map(digest_of, A.layers):
        del bucket.stored[link_key("r", "_layers", layer)]
    restored(bucket, "a")
    assert bucket.pulls("r", A, "a")


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


def test_what_was_pushed_again_or_copied_counts_from_its_first_push(
    overwritten: FakeBucket,
) -> None:
    push(overwritten, C, 40)
    look(overwritten, 41)
    push(overwritten, A, 50)
    look(overwritten, 51)
    restored(overwritten, "a", 30)
    assert overwritten.pulls("r", C, "a")


def test_a_time_before_the_first_push_is_refused_with_what_is_known(
    overwritten: FakeBucket,
) -> None:
    known = (
        f"named {C.digest} from 1970-01-01 19:30 UTC to 1970-01-02 06:00 UTC, "
        f"{B.digest} from 1970-01-01 09:30 UTC to 1970-01-01 19:00 UTC, {A.digest} from"
    )
    with pytest.raises(RestoreError, match=f"named anything on 1970-01-01 00:24 UTC; .* {known}"):
        restored(overwritten, "a", 0.4)


def test_a_history_without_the_times_of_pushes_is_understood(bucket: FakeBucket) -> None:
    content = {"time": 2 * HOUR, "tags": {"r": {"a": A.digest}}, "gone": [["r", "a", B.digest, 1]]}
    bucket.put(tag_history.KEY, json.dumps(content).encode())
    bucket.push("r", B)
    restored(bucket, "a")
    assert bucket.pulls("r", B, "a")


def test_an_index_comes_back_with_its_children() -> None:
    bucket = FakeBucket()
    bucket.push("r", OF_BOTH, "a")
    look(bucket, 1)
    for deleted in (OF_BOTH, A, C):
        bucket.delete_manifest("r", deleted.digest)
    restored(bucket, "a")
    assert bucket.pulls("r", OF_BOTH, "a")


@pytest.mark.parametrize("looks", [(), (3,)])
def test_the_signature_of_an_image_comes_back_with_it(
    bucket: FakeBucket, looks: tuple[int, ...]
) -> None:
    signature = image(b"signature")
    tag = f"{A.digest.replace(':', '-')}.sig"
    bucket.push("r", signature, tag)
    bucket.push("other", B, tag)
    look(bucket, 2)
    bucket.delete_manifest("r", A.digest)
    assert len(restored(bucket, "a")) == 2, "the signature is there"
    for deleted in (A, signature):
        bucket.delete_manifest("r", deleted.digest)
    bucket.delete_manifest("other", B.digest)
    for hours in looks:
        look(bucket, hours)
    restored(bucket, "a")
    assert bucket.pulls("r", signature, tag)


def test_an_image_comes_back_by_its_digest(bucket: FakeBucket) -> None:
    bucket.delete_manifest("r", A.digest)
    assert restored(bucket, A.digest) == [f"r@{A.digest} is back"]
    assert bucket.pulls("r", A)
    assert tag_key("r", "a") not in bucket.stored


@pytest.mark.parametrize("deleted", [A.digest, digest_of(A.layers[1])])
def test_a_blob_that_was_deleted_comes_back_from_its_copy(bucket: FakeBucket, deleted: str) -> None:
    bucket.delete_manifest("r", A.digest)
    bucket.put(swept_key(deleted), bucket.stored.pop(blob_key(deleted)))
    restored(bucket, "a")
    assert bucket.pulls("r", A, "a")


@pytest.mark.parametrize("missing", [A.digest, digest_of(A.layers[1])])
def test_an_image_that_is_gone_for_good_is_refused_and_nothing_is_written(
    bucket: FakeBucket, missing: str
) -> None:
    bucket.delete_manifest("r", A.digest)
    del bucket.stored[blob_key(missing)]
    before = dict(bucket.stored)
    with pytest.raises(RestoreError, match=f"r:a was last seen on 1970-01-01.*{missing}"):
        restored(bucket, "a")
    assert bucket.stored == before


def test_a_tag_that_was_never_anything_else_is_refused_with_what_is_known(
    bucket: FakeBucket,
) -> None:
    with pytest.raises(RestoreError, match=rf"anything else; .* named {A.digest} from 1970-01-01"):
        restored(bucket, "a")
    with pytest.raises(RestoreError, match="known to have named nothing"):
        restored(bucket, "b")


def test_a_manifest_that_is_damaged_or_not_understood_is_refused() -> None:
    bucket = FakeBucket()
    digest = digest_of(b"[]")
    bucket.put(blob_key(digest), b"[]")
    with pytest.raises(RestoreError, match="not understood"):
        restored(bucket, digest)
    bucket.put(blob_key(digest), b"{}")
    with pytest.raises(RestoreError, match="damaged"):
        restored(bucket, digest)


def test_an_image_comes_back_without_a_signature_that_is_gone(bucket: FakeBucket) -> None:
    signature = image(b"signature")
    tag = f"{A.digest.replace(':', '-')}.sig"
    bucket.push("r", signature, tag)
    look(bucket, 2)
    for deleted in (A, signature):
        bucket.delete_manifest("r", deleted.digest)
    del bucket.stored[blob_key(signature.digest)]
    lines = restored(bucket, "a")
    assert lines[1].startswith(f"what was attached to it is not back: r:{tag} was last seen on")
    assert lines[2].startswith("r:a names")
    assert bucket.pulls("r", A, "a")


def test_a_layer_with_a_digest_of_another_algorithm_comes_back_as_it_was() -> None:
    bucket = FakeBucket()
    alias, blob = f"sha512:{'0' * 128}", digest_of(A.layers[1])
    manifest = A.manifest.replace(blob.encode(), alias.encode())
    other = Image(manifest, A.layers)
    bucket.push("r", other, "a")
    link = link_key("r", "_layers", alias)
    bucket.put(link, blob.encode())
    look(bucket, 1)
    bucket.delete_manifest("r", other.digest)
    restored(bucket, "a")
    assert bucket.pulls("r", other, "a")
    assert bucket.stored[link] == blob.encode()
    bucket.delete_manifest("r", other.digest)
    del bucket.stored[blob_key(blob)]
    with pytest.raises(RestoreError, match=f"its layer {alias} is not in the bucket"):
        restored(bucket, "a")


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a local time that is not UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["a"], B),
        (["a", "--at=1970-01-01T09:29"], A),
        (["a", "--at=1970-01-01T11:30+02:00"], B),
        (["a", "--at=1970-01-02"], C),
    ],
)
def test_the_command_brings_back_what_the_tag_named(
    overwritten: FakeBucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    named: Image,
) -> None:
    assert command(overwritten, monkeypatch, "r", *arguments) == 0
    assert f"r:a names {named.digest}, as on" in capsys.readouterr().out
    assert overwritten.pulls("r", named, "a")


def test_the_command_brings_back_a_digest_or_says_why_not(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.delete_manifest("r", A.digest)
    assert command(bucket, monkeypatch, "r", A.digest) == 0
    assert capsys.readouterr().out == f"r@{A.digest} is back\n"
    assert command(bucket, monkeypatch, "r", B.digest) == 1
    assert capsys.readouterr().out == f"FAILED: the manifest {B.digest} is not in the bucket\n"
    with pytest.raises(SystemExit):
        command(bucket, monkeypatch, "r", "a", "--at=yesterday")
    assert "yesterday is no time such as 2026-11-25T18:00" in capsys.readouterr().err


def command(bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command, and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["restore", *arguments])
    monkeypatch.setattr(restore, "objects_of", lambda _: nullcontext(bucket))
    return restore.main()
