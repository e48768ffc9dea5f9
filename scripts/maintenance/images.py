"""Images in the bucket: what belongs to each, and what of it is lost."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from scripts.maintenance.repository import Repository
from scripts.maintenance.walk import Walk

_NAMED_AFTER = re.compile(r"(sha256|sha384|sha512)-([0-9a-f]{64})[0-9a-f]*(?:\..+)?")
"""The tag of referrers has no more than 64 digits:
https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema and
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md"""


def subject_of(tag: str) -> str:
    """Return the beginning of the digest that a tag is named after; empty if it is none's."""
    match = _NAMED_AFTER.fullmatch(tag)
    return f"{match[1]}:{match[2]}" if match else ""


def holds_subject(repository: Repository, subject: str) -> bool:
    """Return whether a repository has a manifest whose digest begins so."""
    if subject.startswith("sha256:"):
        return subject in repository.revisions
    return any(digest.startswith(subject) for digest in repository.revisions)


def tagged(name: str, walk: Walk) -> dict[str, str]:
    """Return the manifests of a repository that tags hold, each with the image of one such tag."""
    repository = walk.repositories[name]
    roots = {x.digest: f"{name}:{tag}" for tag, x in repository.tags.items()}
    return reach(repository, walk, roots)


def reach(
    repository: Repository, walk: Walk, roots: Mapping[str, str], *, mentioned: bool = True
) -> dict[str, str]:
    """Return the roots with all that they hold: what they name, and what describes them.

    Args:
        roots: Manifests, each with the image that it belongs to.
        mentioned: Whether that includes what they name without being made of it, as an annotation
            may name the base of an image.
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
            named = manifest.names if mentioned else manifest.children
            held = [*held, *children, *(x for x in named if x in repository.revisions)]
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
        image: The image, such as team/app:1.
    """

    repository: str
    image: str
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
                linked = repository.revisions if kind == "manifest" else repository.layers
                if blob not in walk.blobs:
                    yield Lost(name, image, f"its {kind} {part} is not in the bucket")
                elif blob in walk.damaged:
                    yield Lost(name, image, f"its {kind} {part} has other content")
                elif part not in linked:
                    yield Lost(name, image, f"its {kind} {part} is not in the repository")
