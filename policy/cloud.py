"""Rules for the Space and its keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policy.reading import UNKNOWN, at, elements, fits

BUCKET = "digitalocean:index/spacesBucket:SpacesBucket"
KEY = "digitalocean:index/spacesKey:SpacesKey"
OBJECT = "digitalocean:index/spacesBucketObject:SpacesBucketObject"
OPENINGS = (
    "digitalocean:index/cdn:Cdn",
    "digitalocean:index/spacesBucketPolicy:SpacesBucketPolicy",
)
"""Resources that let others read a Space, whatever its ACL says."""


def public(kind: str, inputs: dict[str, Any]) -> Iterator[str]:
    """Yield how others could read the images."""
    if kind in OPENINGS:
        yield "expected no such resource: it lets others read a Space"
    allowed = {BUCKET: ("private",), OBJECT: ("private", None)}.get(kind)
    if allowed and not fits(at(inputs, "acl"), *allowed):
        yield "acl: expected private"


def deletable(kind: str, inputs: dict[str, Any], *, protected: bool) -> Iterator[str]:
    """Yield how images could be deleted with their Space, or by it."""
    # Spaces does not delete one that holds images, unless the provider empties it first.
    if kind == BUCKET and not protected and not fits(at(inputs, "forceDestroy"), None, False):
        yield "forceDestroy: expected false, or the option protect"
    if kind == BUCKET:
        for rule in elements(at(inputs, "lifecycleRules")):
            if at(rule, "expiration"):
                yield "lifecycleRules: expected no expiration: images would lose layers"


def broad(kind: str, inputs: dict[str, Any]) -> Iterator[str]:
    """Yield what a storage key opens beyond one bucket."""
    if kind != KEY or (grants := at(inputs, "grants")) is UNKNOWN:
        return
    if len(grants or []) != 1:
        yield "grants: expected one"
    for grant in elements(grants):
        if not fits(at(grant, "permission"), "readwrite"):
            yield "grants.permission: expected readwrite"
        if not at(grant, "bucket"):
            yield "grants.bucket: expected one bucket"
