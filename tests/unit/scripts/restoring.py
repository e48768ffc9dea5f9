"""A bucket of which a registry serves what is whole, and what a restore needs of the past."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from email.message import Message

from scripts.client.restore import Restore
from scripts.maintenance import history, state
from scripts.maintenance.keys import LAYERS, REVISIONS, blob_key, link_key, swept_key, tag_key
from scripts.maintenance.references import References
from scripts.maintenance.state import Unlinked
from scripts.maintenance.walk import Walk
from scripts.shared.registry_client import OCTETS, Registry, RegistryError
from scripts.shared.response import Response
from tests.unit.scripts.fake_bucket import FakeBucket, Image

HOUR = 3600


class BucketRegistry(Registry):
    """A registry that reads a bucket, as CNCF distribution does.

    Attributes:
        served: The paths that it has served.
    """

    def __init__(self, bucket: FakeBucket) -> None:
        super().__init__("https://registry.example.com", None)
        self._bucket = bucket
        self.served: list[str] = []

    def call(
        self,
        method: str,
        path: str,
        expected: Collection[int],  # noqa: ARG002 - what is whole is served
        body: bytes | None = None,  # noqa: ARG002 - nothing is sent
        headers: Mapping[str, str] = OCTETS,  # noqa: ARG002
    ) -> Response:
        name, kind, reference = path.removeprefix("v2/").rsplit("/", 2)
        stored = self._bucket.stored
        digest = reference
        if ":" not in reference:
            digest = stored.get(tag_key(name, reference), b"").decode()
        linked = stored.get(link_key(name, LAYERS if kind == "blobs" else REVISIONS, digest))
        content = stored.get(blob_key(linked.decode())) if linked else None
        if content is None:
            raise RegistryError(f"{method} {path}: 404")
        if kind == "blobs":
            assert method == "GET", "HEAD is answered from memory"
        self.served.append(path)
        answered = Message()
        answered["Docker-Content-Digest"] = digest
        return Response(200, answered, content)


def look(bucket: FakeBucket, hours: float | None = None) -> None:
    """Remember what tags name, some hours after 1970 began."""
    if hours is not None:
        bucket.clock = hours * HOUR
    known = history.load(bucket)
    known.record(Walk(bucket, References(bucket), known.pushed))
    history.save(bucket, known)


def push(bucket: FakeBucket, pushed: Image, hours: float, tag: str = "a") -> None:
    bucket.clock = hours * HOUR
    bucket.push("r", pushed, tag)


def restored(
    bucket: FakeBucket, reference: str, hours: float | None = None, registry: Registry | None = None
) -> list[str]:
    """Restore a tag or digest of the repository r, which is read through a registry."""
    restoring = Restore(bucket, registry or BucketRegistry(bucket))
    if reference.startswith(("sha256:", "sha512:")):
        return list(restoring.digest("r", reference))
    return list(restoring.tag("r", reference, None if hours is None else hours * HOUR))


def sweep(bucket: FakeBucket, *digests: str) -> None:
    """Leave only a copy of some blobs, and no link, as a collection does."""
    remembered = state.load(bucket)
    for digest in digests:
        bucket.put(swept_key(digest), bucket.stored.pop(blob_key(digest)))
        if bucket.stored.pop(link_key("r", LAYERS, digest), None):
            remembered.unlinked[digest] = Unlinked(["r"])
        if bucket.stored.pop(link_key("r", REVISIONS, digest), None):
            remembered.dropped.setdefault("r", {})[digest] = bucket.clock
    state.save(bucket, remembered)
