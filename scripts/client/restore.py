"""Bring back a tag that was deleted or overwritten, or an image by its digest.

    python3 -m scripts.client.restore team/app 1.2

Blobs outlive their tags and links, and blobs that the maintenance deletes leave a copy for a while.
Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from datetime import datetime, timezone

from scripts.maintenance.manifests import DIGEST, parse_manifest
from scripts.maintenance.remembered import date
from scripts.maintenance.tag_history import Gone, load
from scripts.maintenance.walk import blob_key, link_key, swept_key, tag_key
from scripts.shared.objects import Objects, StorageError
from scripts.shared.storage_arguments import add_arguments, objects_of


class RestoreError(Exception):
    """The image cannot be brought back; says why."""


class Restore:
    """Brings images of one repository back.

    Args:
        objects: The bucket.
        repository: The repository.
    """

    def __init__(self, objects: Objects, repository: str) -> None:
        self._objects, self._repository = objects, repository
        self._history = load(objects)

    def tag(self, tag: str, time: float | None = None) -> Iterator[str]:
        """Bring back what a tag named, and say what was done.

        Args:
            tag: The tag.
            time: What it named then, in seconds since 1970; without it, what it named before it was
                deleted or overwritten.

        Raises:
            RestoreError: If that is not known, or is not there any more.
        """
        current = (self._objects.get(tag_key(self._repository, tag)) or b"").decode()
        versions = self._versions(tag)
        wanted = (x for x in versions if (x.digest != current if time is None else x.since <= time))
        version = next(wanted, None)
        if version is None:
            known = [f"{x.digest} from {_moments(x)}" for x in versions] or ["nothing"]
            what = "anything else" if time is None else f"anything on {date(time)}"
            raise RestoreError(
                f"{self._repository}:{tag} is not known to have named {what}; it is known to have "
                f"named {', '.join(known)}"
            )
        try:
            yield from self.digest(version.digest)
        except RestoreError as error:
            raise RestoreError(
                f"{self._repository}:{tag} was last seen on {date(version.seen)}: {error}"
            ) from error
        content = version.digest.encode()
        self._objects.put(tag_key(self._repository, tag, version.digest), content)
        self._objects.put(tag_key(self._repository, tag), content)
        yield f"{self._repository}:{tag} names {version.digest}, as on {date(version.seen)}"

    def digest(self, digest: str) -> Iterator[str]:
        """Bring back an image, with the tags that attach signatures to it, and say what was done.

        Args:
            digest: Its manifest's digest.

        Raises:
            RestoreError: If something of it is not there any more.
        """
        manifests: list[str] = []
        layers: dict[str, str] = {}
        copies: dict[str, int] = {}
        self._collect(digest, manifests, layers, copies)
        for blob, size in copies.items():
            self._objects.copy(swept_key(blob), blob_key(blob), size)
        for layer, blob in layers.items():
            self._objects.put(link_key(self._repository, "_layers", layer), blob.encode())
        for manifest in manifests:
            key = link_key(self._repository, "_manifests/revisions", manifest)
            self._objects.put(key, manifest.encode())
        yield f"{self._repository}@{digest} is back"
        prefix = digest.replace(":", "-")
        known = {x.tag for x in self._history.gone if x.repository == self._repository}
        known |= self._history.tags.get(self._repository, {}).keys()
        for tag in sorted(known):
            key = tag_key(self._repository, tag)
            if tag.startswith(prefix) and not self._objects.head(key):
                try:
                    yield from self.tag(tag)
                except RestoreError as error:
                    yield f"what was attached to it is not back: {error}"

    def _versions(self, tag: str) -> list[Gone]:
        """Return what a tag is known to have named, the last one first."""
        history = self._history
        versions = [x for x in history.gone if (x.repository, x.tag) == (self._repository, tag)]
        if named := history.tags.get(self._repository, {}).get(tag):
            versions.append(Gone(self._repository, tag, named.digest, history.time, named.since))
        return sorted(versions, key=lambda version: (version.since, version.seen), reverse=True)

    def _collect(
        self, digest: str, manifests: list[str], layers: dict[str, str], copies: dict[str, int]
    ) -> None:
        """Add all of an image, children before their index, and what of it is there as a copy."""
        self._look_for(f"the manifest {digest}", digest, copies)
        key = swept_key(digest) if digest in copies else blob_key(digest)
        content = self._objects.get(key) or b""
        if digest != f"sha256:{hashlib.sha256(content).hexdigest()}":
            raise RestoreError(f"the manifest {digest} is damaged")
        try:
            manifest = parse_manifest(content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RestoreError(f"the manifest {digest} is not understood: {error!r}") from error
        for layer in manifest.layers:
            layers[layer] = self._own_digest(layer)
            self._look_for(f"its layer {layer}", layers[layer], copies)
        for child in manifest.children:
            self._collect(child, manifests, layers, copies)
        manifests.append(digest)

    def _own_digest(self, layer: str) -> str:
        """Return the digest of a layer's blob, which may be of another algorithm."""
        link = link_key(self._repository, "_layers", layer)
        content = "" if layer.startswith("sha256:") else (self._objects.get(link) or b"").decode()
        return content if DIGEST.fullmatch(content) else layer

    def _look_for(self, name: str, digest: str, copies: dict[str, int]) -> None:
        if self._objects.head(blob_key(digest)) is None:
            copy = self._objects.head(swept_key(digest))
            if copy is None:
                raise RestoreError(f"{name} is not in the bucket")
            copies[digest] = copy.size


def _moments(version: Gone) -> str:
    return f"{date(version.since)} to {date(version.seen)}"


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no time such as 2026-11-25T18:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Bring back a tag that was deleted or overwritten, or an image by its digest."
    )
    add_arguments(parser)
    parser.add_argument("repository", help="such as team/app")
    parser.add_argument("reference", help="a tag, or a digest such as sha256:0123...")
    parser.add_argument(
        "--at",
        type=_moment,
        metavar="TIME",
        help="what the tag named then, such as 2026-11-25 or 2026-11-25T18:00, in UTC",
    )
    args = parser.parse_args()
    try:
        with objects_of(args) as objects:
            restore = Restore(objects, args.repository)
            by_digest = DIGEST.fullmatch(args.reference)
            for line in (
                restore.digest(args.reference)
                if by_digest
                else restore.tag(args.reference, args.at)
            ):
                print(line, flush=True)
    except (RestoreError, StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
