"""Copies of fake buckets, and what must hold of each."""

from __future__ import annotations

from scripts.maintenance.copy_images import Copy
from scripts.maintenance.keys import LAYERS, blob_key
from scripts.maintenance.references import References
from scripts.maintenance.state import State
from scripts.maintenance.walk import Walk
from tests.unit.scripts.fake_bucket import FakeBucket, Image, digest_of


def copy(source: FakeBucket, target: FakeBucket, state: State | None = None) -> Copy:
    return Copy(source, target, References(source), state or State())


def tags_of(bucket: FakeBucket) -> dict[tuple[str, str], str]:
    walk = Walk(bucket, References(bucket))
    return {
        (name, tag): named.digest
        for name, repository in walk.repositories.items()
        for tag, named in repository.tags.items()
    }


def require_whole(bucket: FakeBucket, images: dict[str, Image]) -> None:
    """Whatever a tag names can be pulled, and has the content that its digests say."""
    for (name, tag), digest in tags_of(bucket).items():
        assert bucket.pulls(name, images[digest], tag), f"{name}:{tag}"
    for key, content in bucket.stored.items():
        if key.endswith("/data"):
            assert key == blob_key(digest_of(content))
        elif LAYERS in key:
            assert blob_key(content.decode()) in bucket.stored
