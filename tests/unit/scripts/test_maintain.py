"""One run of the maintenance: usage, lost images, and what tags name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from scripts.maintenance import collection_state, maintain, tag_history, usage_history
from scripts.maintenance.heal import heal
from scripts.maintenance.images import tagged
from scripts.maintenance.maintain import Task
from scripts.maintenance.registry_pods import Pods
from scripts.maintenance.retention import Retention
from scripts.maintenance.tag_history import load
from scripts.maintenance.walk import Walk, blob_key, link_key, tag_key
from scripts.shared.objects import Entry, StorageError
from tests.unit.scripts.fake_bucket import (
    OF_BOTH,
    A,
    B,
    C,
    FakeBucket,
    Image,
    digest_of,
    image,
    index,
)
from tests.unit.scripts.fake_registry import TIMES

LAYER = digest_of(A.layers[1])


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeBucket:
    monkeypatch.setattr(maintain, "RECHECK_SECONDS", 0)
    bucket = FakeBucket()
    bucket.push("r", A, "a")
    return bucket


def run(bucket: FakeBucket) -> bool:
    task = Task("stack", Pods("nobody.invalid:1", "", ""), Retention(), False, False, TIMES)
    return maintain.maintain(bucket, task)


def test_a_whole_bucket_is_shown_and_its_tags_are_remembered(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.push("r", OF_BOTH, "both")
    before = dict(bucket.stored)
    assert run(bucket)
    output = capsys.readouterr().out
    assert output.startswith("repository")
    assert "compared 4 blobs with their digests" in output
    tags = load(bucket).tags["r"]
    assert {tag: x.digest for tag, x in tags.items()} == {"a": A.digest, "both": OF_BOTH.digest}
    assert before.items() <= bucket.stored.items()
    assert bucket.stored.keys() - before.keys() == {
        tag_history.KEY,
        collection_state.KEY,
        usage_history.KEY,
        usage_history.TABLE_KEY,
    }


def test_a_layer_with_a_digest_of_another_algorithm_is_not_lost_while_its_blob_is_there(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    alias = f"sha512:{'0' * 128}"
    other = Image(A.manifest.replace(LAYER.encode(), alias.encode()), A.layers)
    bucket.push("other", other, "a")
    bucket.put(link_key("other", "_layers", alias), LAYER.encode())
    assert run(bucket)
    del bucket.stored[blob_key(LAYER)]
    assert not run(bucket)
    assert f"lost: other:a: its layer {alias} is not in the bucket" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            lambda stored: stored.pop(blob_key(A.digest)),
            f"lost: r:a: its manifest {A.digest} is not in the bucket",
        ),
        (
            lambda stored: stored.pop(link_key("r", "_manifests/revisions", A.digest)),
            f"lost: r:a: its manifest {A.digest} is not in the repository",
        ),
        (
            lambda stored: stored.update({blob_key(A.digest): B.manifest}),
            f"lost: r:a: its manifest {A.digest} has other content",
        ),
        (
            lambda stored: stored.pop(blob_key(LAYER)),
            f"lost: r:a: its layer {LAYER} is not in the bucket",
        ),
        (
            lambda stored: stored.update({blob_key(LAYER): b"layer X"}),
            f"lost: r:a: its layer {LAYER} has other content",
        ),
        (
            lambda stored: stored.update({tag_key("r", "b"): b"latest"}),
            f"not understood: {tag_key('r', 'b')} names no digest",
        ),
    ],
)
def test_what_is_lost_is_a_failure(
    bucket: FakeBucket,
    capsys: pytest.CaptureFixture[str],
    harm: Callable[[dict[str, bytes]], object],
    message: str,
) -> None:
    harm(bucket.stored)
    assert not run(bucket)
    assert f"FAILED: {message}\n" in capsys.readouterr().out
    assert tag_key("r", "a") in bucket.stored


def test_the_child_of_an_index_and_a_signature_belong_to_their_image(
    bucket: FakeBucket, capsys: pytest.CaptureFixture[str]
) -> None:
    signature = image(b"signature", subject=OF_BOTH.digest)
    bucket.push("s", OF_BOTH, "both")
    bucket.push("s", signature)
    for lost in (digest_of(C.layers[0]), digest_of(b"signature")):
        del bucket.stored[blob_key(lost)]
    assert not run(bucket)
    output = capsys.readouterr().out
    assert f"s:both: its layer {digest_of(C.layers[0])} is not in the bucket" in output
    assert f"s:both: its layer {digest_of(b'signature')} is not in the bucket" in output


def test_what_no_tag_holds_is_not_lost(bucket: FakeBucket) -> None:
    bucket.push("r", B)
    del bucket.stored[blob_key(digest_of(B.layers[0]))]
    assert run(bucket)


def test_an_image_that_is_just_being_deleted_is_not_lost(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bucket.stored[link_key("r", "_manifests/revisions", A.digest)]
    monkeypatch.setattr("time.sleep", lambda _: bucket.delete_tag("r", "a"))
    assert run(bucket)


def test_a_blob_of_another_size_is_compared_first_and_the_sample_is_limited(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(maintain, "SAMPLE_BYTES", 1)
    bucket.stored[blob_key(LAYER)] += b"more"
    assert not run(bucket)
    output = capsys.readouterr().out
    assert "compared 1 blobs" in output
    assert f"its layer {LAYER} has other content" in output


def arguments(folder: Path) -> list[str]:
    (folder / "stack").write_text("stack")
    (folder / "password").write_text("secret")
    options = {
        "stack-file": str(folder / "stack"),
        "pods": "pods:1",
        "username": "maintenance",
        "password-file": str(folder / "password"),
        "keep-days": "7",
        "retention": '{"rules": [], "untagged_days": null}',
    }
    return [f"--{name}={value}" for name, value in options.items()]


def test_a_run_remembers_its_stack(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(maintain, "objects_of", lambda _: nullcontext(bucket))
    monkeypatch.setattr("sys.argv", ["maintain", *arguments(tmp_path)])
    assert maintain.main() == 0
    assert collection_state.load(bucket).collectors.keys() == {"stack"}


def test_storage_that_fails_changes_nothing_and_is_a_failure(
    bucket: FakeBucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    def refuse(_: object) -> None:
        raise StorageError("GET /: 403")

    before = dict(bucket.stored)
    monkeypatch.setattr(bucket, "list", refuse)
    monkeypatch.setattr(maintain, "objects_of", lambda _: nullcontext(bucket))
    monkeypatch.setattr("sys.argv", ["maintain", *arguments(tmp_path)])
    assert maintain.main() == 1
    assert capsys.readouterr().out == "FAILED: GET /: 403\n"
    assert bucket.stored == before


class BusyBucket(FakeBucket):
    """A bucket to which an image is pushed while each list of the repositories is read.

    The list has pages; links of layers and manifests come before tags.
    """

    pushed = 0

    def list(self, prefix: str) -> Iterator[Entry]:
        tags = tag_key("r", "").partition("/current")[0]
        yield from (entry for entry in super().list(prefix) if entry.key < tags)
        if prefix.endswith("repositories/"):
            self.pushed += 1
            new = image(f"config {self.pushed}".encode(), f"layer {self.pushed}".encode())
            self.push("r", index(index(new), A), f"new-{self.pushed}")
        yield from (entry for entry in super().list(prefix) if entry.key >= tags)


def test_what_is_pushed_while_the_bucket_is_listed_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(maintain, "RECHECK_SECONDS", 0)
    bucket = BusyBucket()
    bucket.push("r", A, "a")
    assert run(bucket)
    assert bucket.pushed
    output = capsys.readouterr().out
    assert "lost" not in output
    assert "given back" not in output


def test_what_an_image_holds_that_was_pushed_meanwhile_is_read_too() -> None:
    bucket = BusyBucket()
    bucket.push("r", A, "a")
    walk = Walk(bucket)
    heal(bucket, walk, collection_state.load(bucket), dict, ())
    (tag,) = walk.repositories["r"].tags.keys() - {"a"}
    held = tagged("r", walk)
    assert walk.repositories["r"].tags[tag].digest in held
    assert len(held) == 4
    assert held.keys() == walk.manifests.keys() == walk.repositories["r"].revisions.keys()
