"""The scan: which images it gets from a registry, in which order, and what it keeps."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.scan import scan
from scripts.scan.findings import Image
from scripts.scan.tagged import image_of, tagged
from scripts.scan.trivy import Login, Trivy, TrivyError
from scripts.shared import reports
from scripts.shared.registry_client import MANIFEST, Registry, RegistryError, basic
from tests.unit.scripts.test_scan_findings import found
from tests.unit.servers import Request, Serve

LOGIN = Login("pull", "the password")
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class FakeRegistry:
    """A registry as the scan asks it: repositories, with tags, with manifests.

    Attributes:
        manifests: Each manifest by its digest.
        tags: The digest of each tag, by repository.
    """

    def __init__(self, serve: Serve) -> None:
        self.manifests: dict[str, object] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.methods: set[str] = set()
        self.client = Registry(serve(self._respond), basic(*LOGIN))

    def _respond(self, request: Request) -> tuple[int, dict[str, str], str]:
        self.methods.add(request.command)
        path = request.path.partition("?")[0].removeprefix("/v2/")
        if path == "_catalog":
            return 200, {}, json.dumps({"repositories": [*self.tags, "empty"]})
        if path.endswith("/tags/list"):
            tags = self.tags.get(path.removesuffix("/tags/list"))
            return (200, {}, json.dumps({"tags": [*tags, "gone"]})) if tags else (404, {}, "")
        repository, _, reference = path.partition("/manifests/")
        digest = self.tags[repository].get(reference, reference)
        if digest not in self.manifests:
            return 404, {}, ""
        body = "" if request.command == "HEAD" else json.dumps(self.manifests[digest])
        return 200, {"Docker-Content-Digest": digest}, body


@pytest.fixture
def registry(serve: Serve) -> FakeRegistry:
    return FakeRegistry(serve)


DOCKER = {
    "config": {"mediaType": "application/vnd.docker.container.image.v1+json"},
    "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}],
}
IMAGE = {"config": {"mediaType": CONFIG}, "layers": [{"mediaType": LAYER}]}


def test_each_manifest_that_a_tag_names_is_listed_once(registry: FakeRegistry) -> None:
    registry.tags = {
        "a": {"1": "sha256:a", "2": "sha256:a"},
        "b": {"1": "sha256:a", "2": "sha256:b"},
    }
    registry.manifests = {"sha256:a": IMAGE, "sha256:b": IMAGE}
    assert tagged(registry.client) == {"sha256:a": {"a", "b"}, "sha256:b": {"b"}}
    assert registry.methods == {"GET", "HEAD"}


def _index(*platforms: tuple[str, str]) -> dict[str, object]:
    children = [
        {"mediaType": MANIFEST, "digest": f"{x}/{y}", "platform": {"os": x, "architecture": y}}
        for x, y in platforms
    ]
    return {"manifests": children}


@pytest.mark.parametrize(
    ("manifest", "scanned"),
    [
        (IMAGE, "sha256:x"),
        (
            {
                **IMAGE,
                "layers": [{"mediaType": "application/vnd.dev.cosign.simplesigning.v1+json"}],
            },
            None,
        ),
        ({**IMAGE, "layers": [{"mediaType": "application/vnd.in-toto+json"}]}, None),
        ({**IMAGE, "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}}, None),
        ({**IMAGE, "layers": []}, None),
        (DOCKER, "sha256:x"),
        ({**IMAGE, "layers": [1]}, None),
        ({"config": "x", "layers": 1}, None),
        ({}, None),
        (_index(("linux", "arm64"), ("linux", "amd64")), "linux/amd64"),
        (_index(("unknown", "unknown"), ("linux", "arm64")), "linux/arm64"),
        (_index(("unknown", "unknown")), None),
        (_index(), None),
        (
            {"manifests": [1, {"digest": 5}, {"digest": "linux/amd64", "platform": "x"}]},
            "linux/amd64",
        ),
    ],
)
def test_what_is_an_image_is_told_from_what_else_is_pushed(
    registry: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
    manifest: object,
    scanned: str | None,
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    registry.tags = {"a": {}}
    registry.manifests = {"sha256:x": manifest, "linux/amd64": IMAGE, "linux/arm64": IMAGE}
    assert image_of(registry.client, "a", "sha256:x") == scanned


@pytest.mark.parametrize("manifest", [[], "x", None])
def test_what_is_no_manifest_is_an_error_of_this_image_alone(
    registry: FakeRegistry, manifest: object
) -> None:
    registry.tags = {"a": {}}
    registry.manifests = {"sha256:x": manifest}
    with pytest.raises(RegistryError):
        image_of(registry.client, "a", "sha256:x")


class FakeTrivy(Trivy):
    """Notes what it scans; images of the repository `broken` fail."""

    def __init__(self) -> None:
        self.scanned: list[str] = []

    def scan(self, image: str, login: Login) -> Any:  # noqa: ARG002 - as in its base
        self.scanned.append(image.partition("/")[2])
        if "/broken@" in image:
            raise TrivyError("no")
        return found()


def _images(registry: FakeRegistry, **tried: int) -> tuple[dict[str, Image], dict[str, set[str]]]:
    """Let the registry have images, each in a repository of its name, tried at some times."""
    registry.tags = {name: {"1": name} for name in tried}
    registry.manifests = dict.fromkeys(tried, IMAGE)
    images = {name: {"tried": time} if time else {} for name, time in tried.items()}
    return images, {name: {name} for name in tried}


def test_what_was_tried_longest_ago_or_never_comes_first_and_a_broken_one_waits_its_turn(
    registry: FakeRegistry,
) -> None:
    """Or one that fails, and takes its whole time, would be the first of each run."""
    fake = FakeTrivy()
    images, repositories = _images(registry, new=0, recent=300, broken=200, old=100)
    images["broken"] |= {"scanned": 50, "counts": [[9, 9]] * 5, "worst": []}
    later = time.monotonic() + 60
    tried = scan.scan_all(images, repositories, registry.client, fake, LOGIN, later)
    assert tried == 4
    assert [x.partition("@")[0] for x in fake.scanned] == ["new", "old", "broken", "recent"]
    assert images["broken"]["counts"] == [[9, 9]] * 5, "what was known stays known"
    assert images["broken"]["failed"] == "no"
    assert images["broken"]["tried"] > 300
    assert images["broken"]["scanned"] == 50
    assert images["new"]["scanned"] == images["new"]["tried"]


def test_a_run_out_of_time_keeps_what_it_has_and_begins_with_the_rest(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeTrivy()
    images, repositories = _images(registry, a=0, b=0, c=0)
    clock = iter([0, 1, 2])
    monkeypatch.setattr("scripts.scan.scan.time.monotonic", lambda: next(clock))
    assert scan.scan_all(images, repositories, registry.client, fake, LOGIN, 2) == 2
    assert "tried" not in images["c"]


def test_what_is_no_image_is_passed_over_and_an_image_that_works_again_is_whole(
    registry: FakeRegistry,
) -> None:
    fake = FakeTrivy()
    images, repositories = _images(registry, chart=1, mended=2)
    registry.manifests["chart"] = {}
    images["mended"]["failed"] = "no"
    later = time.monotonic() + 60
    scan.scan_all(images, repositories, registry.client, fake, LOGIN, later)
    assert images.keys() == {"mended"}
    assert images["mended"].keys() == {"tried", "scanned", "counts", "worst"}
    assert fake.scanned == ["mended@mended"]


def test_what_is_known_of_images_that_are_gone_is_forgotten() -> None:
    known = {"images": {"a": {"tried": 1}, "gone": {"tried": 2}}}
    assert scan.known_images(known, {"a": 1, "b": 1}) == {"a": {"tried": 1}, "b": {}}
    assert scan.known_images(None, {"a": 1}) == {"a": {}}


def test_a_run_of_which_every_image_fails_has_failed(
    registry: FakeRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trivy itself does not work, or the registry: what is known must stay."""
    _images(registry, broken=0)
    (tmp_path / "password").write_text("x")
    monkeypatch.setattr(reports, "read", lambda *_: None)
    monkeypatch.setattr(Trivy, "download", lambda *_: 1.0)
    monkeypatch.setattr(Trivy, "scan", FakeTrivy.scan)
    monkeypatch.setattr(Trivy, "scanned", [], raising=False)
    args = argparse.Namespace(
        registry=registry.client.url,
        username="pull",
        password_file=tmp_path / "password",
        trivy=tmp_path,
        folder=tmp_path,
        database="registry/db:2",
        own_database=True,
        seconds=60,
    )
    with pytest.raises(TrivyError, match="none of 1 images could be scanned"):
        scan.run(args)
