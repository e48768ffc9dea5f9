"""Signatures and attestations: made, verified and kept with rights on one team's repositories."""

from __future__ import annotations

import http.client
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.signed import World, buildkit, cached, signed_world, write_sources
from tests.clients.signing import ATTACHED, PUSHED
from tests.clients.test_clients import dockerd, runnable
from tests.soak.client import INDEX, index
from tests.soak.pair import Between, Handler, serve

WAYS = ATTACHED | PUSHED

KEPT = index("", "1", [runnable("amd64"), runnable("arm64")])
GONE, DROPPED, PLAIN = map(runnable, ("s390x", "riscv64", "ppc64le"))

EMPTY = index("", "", [])

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


def test_images_with_signatures_and_attestations_are_pulled_as_any_others(world: World) -> None:
    sign(world, "kept", world.push("kept", runnable("amd64")))
    with tempfile.TemporaryDirectory() as name, dockerd(folder := Path(name)):
        podman = f"podman --root={folder}/s --runroot={folder}/r --storage-driver=vfs pull"
        docker = f"docker --host=unix://{folder}/docker.sock pull"
        for pull in (f"{podman} --tls-verify=false", docker):
            for repository in ("app", "built"):
                world.done("reader", f"{pull} {{host}}/team/{repository}:kept")


class _Indexing(Handler):
    """Answers a request for referrers by the tag that lists them, as long as there is one."""

    def do_GET(self) -> None:  # noqa: N802 - http.server calls it so
        connection = http.client.HTTPConnection(*self.server.registry, timeout=60)
        path = self.path.replace("/referrers/sha256:", "/manifests/sha256-")
        if path == self.path:
            super().do_GET()
            return
        headers = {"Authorization": self.headers["Authorization"], "Accept": INDEX}
        with closing(connection):
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            content = response.read() if response.status == 200 else EMPTY.manifest
        self.send_response_only(200)
        self.send_header("Content-Type", INDEX)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def test_a_proxy_that_answers_for_referrers_would_hide_what_is_attached(world: World) -> None:
    """cosign's library takes the answer for a registry that keeps the list, and does not keep it:
    https://github.com/google/go-containerregistry/blob/v0.21.7/pkg/v1/remote/write.go#L527"""
    image, way = world.push("kept", PLAIN), ATTACHED["cosign sign"]
    registry, _, port = world.host.partition(":")
    between = Between((registry, int(port)))
    between.RequestHandlerClass = _Indexing
    serve(between)
    try:
        answering = replace(world, host=between.address)
        answering.done("ci", way.sign, image=image.replace(world.host, answering.host))
    finally:
        between.shutdown()
        between.server_close()
    assert world.run("reader", way.verify, image=image).returncode
    world.done("ci", way.sign, image=image)
    world.done("reader", way.verify, image=image)


def test_what_is_attached_is_verified_through_a_cache(world: World, tmp_path: Path) -> None:
    image = world.push("kept", KEPT)
    for way in ATTACHED.values():
        world.done("ci", way.sign, image=image)
    with cached(world, tmp_path) as through:
        there = image.replace(world.host, f"{through.host}/cache/docker")
        for name, way in ATTACHED.items():
            assert not through.run("reader", way.verify, image=there).returncode, name
            assert refused(through, "other", way.verify, there, ""), name
