"""What is remembered of manifests, so that each of them is read once."""

from __future__ import annotations

import gzip
import json

import pytest

from scripts.maintenance.references import FOLDER, Manifest, References, read_manifest
from tests.unit.scripts.fake_bucket import OF_BOTH, A, FakeBucket, digest_of, image

FIRST, SECOND = (f"sha256:{digit * 64}" for digit in "01")
FOREIGN = {"note": SECOND, "layers": [{"digest": FIRST, "urls": ["https://example.com"]}]}


def test_what_was_read_is_remembered() -> None:
    bucket = FakeBucket()
    contents = [A.manifest, OF_BOTH.manifest, image(b"s", subject=A.digest).manifest]
    contents += [b"[", json.dumps(FOREIGN).encode()]
    known = {digest_of(content): read_manifest(content) for content in contents}
    references = References(bucket)
    for digest, manifest in known.items():
        references.add(digest, manifest)
    references.save(known)
    again = References(bucket)
    assert {digest: again.get(digest) for digest in known} == known
    assert not again.unreadable


def packed(text: bytes) -> bytes:
    """Return what is the same in each process, as names of tests must be."""
    return gzip.compress(text, mtime=0)


def remembered(bucket: FakeBucket) -> str:
    """Remember one manifest, and return the key of where."""
    references = References(bucket)
    references.add(A.digest, read_manifest(A.manifest))
    references.save([A.digest])
    (key,) = (key for key in bucket.stored if key.startswith(FOLDER))
    return key


def lines(*values: object) -> bytes:
    return packed("\n".join(map(json.dumps, values)).encode())


WHOLE = [FIRST, [SECOND], [], [], [], "", "", False]


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"\x1f\x8b",
        lines(WHOLE)[:-9],
        lines(WHOLE)[:20] + b"x" + lines(WHOLE)[21:],
        packed(b"\xff"),
        packed(b"["),
        packed(b"[" * 200_000),
        lines(5),
        lines(None),
        lines({}),
        lines(WHOLE[:-1]),
        lines([*WHOLE, ""]),
        lines(["hunter2", *WHOLE[1:]]),
        lines([FIRST, ["hunter2"], *WHOLE[2:]]),
        lines([FIRST, 5, *WHOLE[2:]]),
        lines([FIRST, *WHOLE[1:5], None, "", False]),
    ],
)
def test_what_cannot_be_read_of_what_is_remembered_is_read_anew(content: bytes) -> None:
    bucket = FakeBucket()
    key = remembered(bucket)
    assert gzip.decompress(bucket.stored[key])
    bucket.put(key, content)
    references = References(bucket)
    assert references.unreadable == [key]
    assert references.get(A.digest) is None
    references.add(A.digest, read_manifest(A.manifest))
    references.save([A.digest])
    assert References(bucket).get(A.digest) == read_manifest(A.manifest)


def test_an_older_or_empty_memory_only_knows_less() -> None:
    bucket = FakeBucket()
    key = remembered(bucket)
    bucket.put(key, packed(b""))
    assert References(bucket).get(A.digest) is None
    bucket.delete(key)
    assert References(bucket).get(A.digest) is None


def test_only_what_has_changed_is_written_without_what_is_gone() -> None:
    bucket = FakeBucket()
    digest_0, digest_1, other = f"sha256:a{'0' * 63}", f"sha256:a{'1' * 63}", f"sha256:b{'0' * 63}"
    references = References(bucket)
    for digest in (digest_0, other):
        references.add(digest, Manifest())
    references.save([digest_0, other])
    written: list[str] = []
    bucket.before = lambda method, key: written.append(key) if method == "PUT" else None
    references = References(bucket)
    references.save([])
    assert not written, "nothing has changed"
    references.add(digest_1, Manifest())
    references.save([digest_1])
    assert written == [f"{FOLDER}a.gz"]
    again = References(bucket)
    assert again.get(digest_0) is None
    assert again.get(digest_1) == again.get(other) == Manifest()
