"""Images in the bucket: what belongs to each, and what of it is lost.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from scripts.maintenance.walk import Repository, Walk

REFERRER = re.compile(r"sha256-([0-9a-f]{64})(?:\..+)?")
"""A tag that attaches its manifest to another: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
and https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md"""


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
    """Return the roots with all that they hold: children of indexes, and referrers.

    Args:
        repository: Where they are.
        walk: What is in the bucket.
        roots: Manifests, each with the image that it belongs to.
    """
    attached: dict[str, list[str]] = defaultdict(list)
    for digest in repository.revisions:
        if digest in walk.manifests and walk.manifests[digest].subject:
            attached[walk.manifests[digest].subject].append(digest)
    for tag, x in repository.tags.items():
        if match := REFERRER.fullmatch(tag):
            attached[f"sha256:{match[1]}"].append(x.digest)
    reached: dict[str, str] = {}
    stack = list(roots.items())
    while stack:
        digest, image = stack.pop()
        if digest in reached:
            continue
        reached[digest] = image
        held: Iterable[str] = attached.get(digest, ())
        if manifest := walk.manifests.get(digest):
            optional = (x for x in manifest.optional if x in repository.revisions)
            held = [*held, *manifest.children, *optional]
        stack += [(other, image) for other in held]
    return reached


def lost(walk: Walk) -> Iterator[str]:
    """Yield what a tag needs and is not there as it was pushed."""
    for name, repository in walk.repositories.items():
        for digest, image in tagged(name, walk).items():
            if digest not in walk.blobs:
                yield f"{image}: its manifest {digest} is not in the bucket"
            elif digest not in repository.revisions:
                yield f"{image}: its manifest {digest} is not in the repository"
            elif digest in walk.damaged:
                yield f"{image}: its manifest {digest} has other content"
            manifest = walk.manifests.get(digest)
            for layer in manifest.layers if manifest else ():
                blob = walk.aliases.get(layer, layer)
                if blob not in walk.blobs:
                    yield f"{image}: its layer {layer} is not in the bucket"
                elif blob in walk.damaged:
                    yield f"{image}: its layer {layer} has other content"
