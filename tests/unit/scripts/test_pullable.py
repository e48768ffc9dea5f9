"""Which images the doctor calls broken: those that a client could not pull, and no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.client.pullable import lost_images, parts
from scripts.shared.registry_client import Registry, RegistryError
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.servers import Request, Result, Serve

IMAGE = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

CONTENT: dict[str, Any] = {
    "/v2/": {},
    "/v2/_catalog?n=1000": {"repositories": ["app"]},
    "/v2/_catalog?n=1000&last=app": {"repositories": ["empty", "other"]},
    "/v2/app/tags/list?n=1000": {"tags": ["1", "index", "same"]},
    "/v2/other/tags/list?n=1000": {"tags": None},
    "/v2/app/manifests/1": {"config": {"digest": "c"}, "layers": [{"digest": "l"}]},
    "/v2/app/manifests/index": {"manifests": [{"digest": "m", "mediaType": IMAGE}]},
    "/v2/app/manifests/same": {"manifests": [{"digest": "m"}]},
    "/v2/app/manifests/m": {"config": {"digest": "c"}, "layers": [{"digest": "n"}]},
    "/v2/app/blobs/c": {},
    "/v2/app/blobs/l": {},
    "/v2/app/blobs/n": {},
}


class FakeRegistry:
    """A registry in memory.

    Attributes:
        content: What is there, by path: JSON, or bytes.
        paths: The paths that were asked for.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self.content, self.paths = content, list[str]()

    def __call__(self, request: Request) -> Result:
        self.paths.append(request.path)
        if request.path not in self.content:
            return 404, {}, "{}"
        if "/blobs/" in request.path:
            assert request.headers["Range"] == "bytes=0-0", "layers may have gigabytes"
        more = {"Link": '</v2/_catalog?n=1000&last=app>; rel="next"'}
        headers = more if request.path == "/v2/_catalog?n=1000" else {}
        content = self.content[request.path]
        return 200, headers, content if isinstance(content, bytes) else json.dumps(content)


def findings(serve: Serve, content: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with each image of a registry."""
    return dict(lost_images(Registry(serve(FakeRegistry(content)), "Basic x")))


def without(*paths: str) -> dict[str, Any]:
    return {path: value for path, value in CONTENT.items() if path not in paths}


def test_a_registry_that_has_all_its_images_has_no_finding(serve: Serve) -> None:
    registry = FakeRegistry(CONTENT)
    assert not list(lost_images(Registry(serve(registry), "Basic x")))
    assert len(registry.paths) == len(set(registry.paths)), "what is shared is read once"
    assert set(registry.paths) >= set(CONTENT) - {"/v2/"}, "and everything is read"


@pytest.mark.parametrize(
    ("lost", "images"),
    [
        ("/v2/app/blobs/l", ["app:1"]),
        ("/v2/app/blobs/c", ["app:1", "app:index", "app:same"]),
        ("/v2/app/blobs/n", ["app:index", "app:same"]),
        ("/v2/app/manifests/m", ["app:index", "app:same"]),
        ("/v2/app/manifests/1", ["app:1"]),
    ],
)
def test_each_image_that_misses_something_is_named(
    serve: Serve, lost: str, images: list[str]
) -> None:
    """Also the second one: the first one's parts that are there prove nothing of it."""
    found = findings(serve, without(lost))
    assert list(found) == images
    for problem in found.values():
        assert problem.startswith("cannot be pulled: GET http://")
        assert f"{lost}: expected 200" in problem


ODD_MANIFESTS = {
    "a page": b"<!DOCTYPE html>",
    "a list": b"[]",
    "a text for its layers": b'{"layers": "l"}',
    "a layer without a digest": b'{"layers": [{"size": 1}]}',
    "a child that is null": b'{"manifests": [null]}',
    "nested deep": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
}


@pytest.mark.parametrize("name", ODD_MANIFESTS)
def test_a_manifest_that_is_not_understood_is_one_finding_and_the_rest_goes_on(
    serve: Serve, name: str
) -> None:
    """Whoever may push could end the doctor for all with it."""
    content = {**without("/v2/app/blobs/n"), "/v2/app/manifests/1": ODD_MANIFESTS[name]}
    found = findings(serve, content)
    assert list(found) == ["app:1", "app:index", "app:same"]
    assert found["app:1"].startswith("was not looked at: its manifest 1 is not understood: ")


def test_a_repository_that_cannot_be_listed_is_one_finding_and_the_rest_goes_on(
    serve: Serve,
) -> None:
    content = {**without("/v2/app/blobs/n"), "/v2/_catalog?n=1000": {"repositories": ["a", "app"]}}
    found = findings(serve, {**content, "/v2/a/tags/list?n=1000": b"<!DOCTYPE html>"})
    assert list(found) == ["a", "app:index", "app:same"]
    assert found["a"].startswith("cannot be listed: GET v2/a/tags/list?n=1000: expected tags, got")


def test_a_registry_that_ends_meanwhile_is_no_finding_for_each_image(serve: Serve) -> None:
    """Or a restart would call a thousand images broken."""
    with pytest.raises(RegistryError, match="/v2/: expected 200, got 404"):
        findings(serve, without("/v2/", "/v2/app/manifests/1"))


@pytest.mark.parametrize("name", ODD)
def test_no_server_under_the_hostname_has_images_or_ends_in_a_traceback(
    name: str, odd_server: OddServer
) -> None:
    with pytest.raises(RegistryError):
        list(lost_images(Registry(odd_server(lambda: [ODD[name]]), "Basic x")))


def image(**fields: Any) -> dict[str, Any]:
    return {"config": {"digest": "c"}, "layers": [{"digest": "l", **fields}]}


def index(**fields: Any) -> dict[str, Any]:
    return {"manifests": [{"digest": "m", **fields}]}


C, L, M = ("blobs", "c"), ("blobs", "l"), ("manifests", "m")


@pytest.mark.parametrize(
    ("manifest", "needed"),
    [
        (image(), [C, L]),
        # Elsewhere: clients take such layers from there, or leave them out.
        (image(urls=["https://a"]), [C]),
        (image(mediaType=LAYER, urls=["https://a"]), [C]),
        # In the registry, as all others: the registry takes no other ones without a URL.
        (image(urls=[]), [C, L]),
        (image(urls=None), [C, L]),
        (image(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"), [C, L]),
        # What a parser in Go takes.
        ({"config": {"digest": "c"}, "layers": None}, [C]),
        ({"config": None, "layers": [{"digest": "l"}]}, [L]),
        ({"Config": {"Digest": "c"}, "LAYERS": [{"DIGEST": "l"}]}, [C, L]),
        # Everything that an index names, also of platforms that this machine has not.
        (index(mediaType=IMAGE), [M]),
        (index(platform={"os": "windows", "architecture": "amd64"}), [M]),
        (index(platform=None, mediaType=None), [M]),
        ({"manifests": None}, []),
        ({"manifests": []}, []),
        # BuildKit's caches: https://github.com/moby/buildkit/blob/master/cache/remotecache/export.go
        (index(mediaType=LAYER), [("blobs", "m")]),
        # Attestations: no client has their platform.
        (index(mediaType=IMAGE, platform={"os": "unknown", "architecture": "unknown"}), []),
    ],
)
def test_what_a_client_needs_is_what_is_looked_for(
    manifest: dict[str, Any], needed: list[tuple[str, str]]
) -> None:
    assert parts(json.dumps(manifest).encode()) == needed


@pytest.mark.parametrize("more", [b'"\xff": "\xff"', b'"a": ' + b"9" * 5000])
def test_what_the_registry_takes_beside_is_no_obstacle(more: bytes) -> None:
    assert parts(b'{"layers": [{"digest": "l"}], ' + more + b"}") == [L]
