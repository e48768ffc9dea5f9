"""Images in the bucket: what belongs to each, and what of it is lost.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from scripts.maintenance.walk import Repository, Walk

_NAMED_AFTER = re.compile(
    r"(sha256-[0-9a-f]{64}|sha384-[0-9a-f]{96}|sha512-[0-9a-f]{128})(?:\..+)?"
)
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema and
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md"""


def subject_of(tag: str) -> str:
    """Return the digest that a tag is named after, such as a signature's; empty if it is none's."""
    match = _NAMED_AFTER.fullmatch(tag)
    return match[1].replace("-", ":") if match else ""


def tagged(name: str, walk: Walk) -> dict[str, str]:
    """Return the manifests of a repository that a tag holds, each with the image of one such tag.

    Args:
        name: The repository.
        walk: What is in the bucket.
    """
    repository = walk.repositories[name]
    roots = {x.digest: f"{name}:{tag}" for tag, x in repository.tags.items()}
    return reach(repository, walk, roots)


def reach(repository: Repository, walk: Walk, roots: Mapping[str, str]) -> dict[str, str]:
    """Return the roots with all that they hold: what they name, and what describes them.

    Args:
        repository: Where they are.
        walk: What is in the bucket.
        roots: Manifests, each with the image that it belongs to.
    """
    attached: dict[str, list[str]] = defaultdict(list)
    for digest in repository.revisions:
        if digest in walk.manifests and walk.manifests[digest].subject:
            attached[walk.manifests[digest].subject].append(digest)
    reached: dict[str, str] = {}
    stack = list(roots.items())
    while stack:
        digest, image = stack.pop()
        if digest in reached:
            continue
        reached[digest] = image
        held: Iterable[str] = attached.get(digest, ())
        if manifest := walk.manifests.get(digest):
            # An entry of an index may be a layer, whatever it says.
            children = (x for x in manifest.children if x not in repository.layers)
            named = (x for x in manifest.names if x in repository.revisions)
            held = [*held, *children, *named]
        stack += [(other, image) for other in held]
    return reached


def unnamed(repository: Repository, walk: Walk) -> set[str]:
    """Return the manifests of a repository that neither a tag nor another manifest there names."""
    named = {tag.digest for tag in repository.tags.values()}
    for digest in repository.revisions:
        if manifest := walk.manifests.get(digest):
            named.update(manifest.names)
    return repository.revisions.keys() - named


class Lost(NamedTuple):
    """What a tag needs and is not there as it was pushed.

    Attributes:
        repository: The tag's repository.
        image: The image, such as team/app:1.
        blob: The digest of what is lost.
        what: What it is, in words.
    """

    repository: str
    image: str
    blob: str
    what: str

    def __str__(self) -> str:
        return f"{self.image}: {self.what}"


def lost(walk: Walk) -> Iterator[Lost]:
    """Yield what tags need and is not there as it was pushed."""
    for name, repository in walk.repositories.items():
        held = tagged(name, walk)
        # What nobody can read may have named anything.
        held.update(
            {x: f"{name}@{x}" for x in repository.revisions.keys() & walk.damaged - held.keys()}
        )
        for digest, image in held.items():
            parts = [("manifest", digest)]
            if manifest := walk.manifests.get(digest):
                parts += [("layer", layer) for layer in manifest.layers]
            for kind, part in parts:
                blob = walk.aliases.get(part, part)
                if blob not in walk.blobs:
                    yield Lost(name, image, blob, f"its {kind} {part} is not in the bucket")
                elif blob in walk.damaged:
                    yield Lost(name, image, blob, f"its {kind} {part} has other content")
