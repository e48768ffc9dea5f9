"""Signatures and attestations: made, verified and kept with rights on one team's repositories."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.signed import World, buildkit, signed_world, write_sources
from tests.clients.signing import ATTACHED, PUSHED
from tests.clients.test_clients import runnable
from tests.soak.client import index

WAYS = ATTACHED | PUSHED

KEPT = index("", "1", [runnable("amd64"), runnable("arm64")])
GONE, DROPPED, PLAIN = map(runnable, ("s390x", "riscv64", "ppc64le"))

REFUSALS = ("denied", "403", "forbidden")


@pytest.fixture
def world(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with (
        signed_world(tools, tmp_path, monkeypatch) as started,
        tempfile.TemporaryDirectory() as folder,
        buildkit(started, Path(folder)),
    ):
        yield started


def sign(world: World, version: str, image: str) -> None:
    """Sign an image by each way, and push images that are signed, as CI."""
    write_sources(world, version)
    for way in WAYS.values():
        world.done("ci", way.sign, image=image, version=version)


def unverified(world: World, version: str, image: str, user: str = "reader") -> set[str]:
    """Return by which ways a user cannot verify an image."""
    return {
        name
        for name, way in WAYS.items()
        if world.run(user, way.verify, image=image, version=version).returncode
    }


def refused(world: World, user: str, command: str, image: str, version: str) -> bool:
    result = world.run(user, command, image=image, version=version)
    return result.returncode != 0 and any(x in result.stdout.lower() for x in REFUSALS)


def test_signatures_stay_go_and_come_back_with_their_images(world: World) -> None:
    kept, gone = world.push("kept", KEPT), world.push("gone", GONE)
    sign(world, "kept", kept)
    sign(world, "gone", gone)
    before = world.blobs()
    dropped = world.push("dropped", DROPPED)
    sign(world, "dropped", dropped)
    of_dropped = world.blobs() - before
    for version, image in (("kept", kept), ("gone", gone), ("dropped", dropped)):
        assert not unverified(world, version, image)
    expired = GONE.parts() | DROPPED.parts()
    world.maintain(lambda: not expired & world.blobs())
    for repository, tag in (("app", "gone"), ("built", "gone"), ("chart", "1.0.0-gone")):
        world.restore(f"team/{repository}", tag)
    world.maintain(lambda: not of_dropped & world.blobs())
    assert unverified(world, "dropped", dropped) == set(WAYS)
    assert not [x for x in world.tags("team/app") if DROPPED.digest[7:] in x]
    for version, image in (("kept", kept), ("gone", gone)):
        assert not unverified(world, version, image)


def test_only_who_may_push_signs_and_only_who_may_pull_verifies(world: World) -> None:
    """A way that says of an image without a signature that it has one would show nothing."""
    kept, plain = world.push("kept", KEPT), world.push("plain", PLAIN)
    sign(world, "kept", kept)
    write_sources(world, "plain")
    for way in PUSHED.values():
        world.done("ci", way.plain, version="plain")
    assert unverified(world, "plain", plain) == set(WAYS)
    assert unverified(world, "kept", kept, "other") == set(WAYS)
    write_sources(world, "new")
    for user in ("reader", "other"):
        for name, way in WAYS.items():
            assert refused(world, user, way.sign, plain, "new"), (user, name)
