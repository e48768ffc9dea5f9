"""Clients of the fake registry, which may wait between their requests, or never go on."""

from __future__ import annotations

import random
from collections.abc import Generator

from scripts.maintenance.keys import LAYERS, REVISIONS
from tests.unit.scripts.fake_bucket import Image, digest_of
from tests.unit.scripts.fake_registry import Pod

IDLE = "idle"
"""What a client yields between its requests, where it may wait for any time."""

LONG = "long"
"""What it yields where it often waits for very long: large layers are sent meanwhile."""


def delete(
    pod: Pod, name: str, tag: str, deleted: list[Image], *, by_tag: bool
) -> Generator[str | None, None, bool]:
    """Delete a tag, or images by their digests."""
    if by_tag and tag:
        yield IDLE
        yield from pod.delete_tag(name, tag)
        return True
    for each in deleted:
        yield IDLE
        yield from pod.delete(name, REVISIONS, each.digest)
    return True


def push(
    pod: Pod, name: str, tag: str, pushed: Image, chosen: random.Random
) -> Generator[str | None, None, bool]:
    """Push as clients do, and wait between requests, at times for very long.

    At times it mounts layers from the other repository instead of sending them.
    """
    for child in pushed.children:
        yield IDLE
        there = yield from pod.manifest(name, child.digest)
        if there is None and not (yield from push(pod, name, "", child, chosen)):
            return False
    for layer in pushed.layers:
        yield IDLE
        if (yield from pod.stat(name, LAYERS, digest_of(layer))):
            continue
        yield IDLE
        other = "s" if name == "r" else "r"
        if chosen.random() < 0.5 and (yield from pod.mount(name, other, digest_of(layer))):
            continue
        yield from pod.upload(name, layer)
    yield LONG
    return bool((yield from pod.put_manifest(name, pushed, tag)))
