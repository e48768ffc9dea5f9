"""A cache of another registry, which the sandbox's node and its clients pull through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox.build import images
from scripts.maintenance.keys import CACHES
from tests.sandbox.helpers import Sandbox, eventually, pod, runs
from tests.sandbox.maintenance import NAMESPACE, maintain
from tests.sandbox.nodes import on_node, output, parsed, up

IMAGE = "containous/whoami:latest"
NODE_FILE = "install -D -m 0600 /dev/stdin /etc/rancher/k3s/registries.yaml; systemctl restart k3s"
POLICY = ("networkpolicy", "cache-hub", "--namespace=registry")


def upstream(sandbox: Sandbox) -> str:
    """Return what images of docker.io's stand-in are called."""
    return sandbox.layout.docker_io_endpoint.removeprefix("http://")


def keys(sandbox: Sandbox) -> list[str]:
    listed = sandbox.s3().list_objects_v2(Bucket=sandbox.bucket, Prefix=CACHES)
    return [entry["Key"] for entry in listed.get("Contents", [])]


def run_maintenance(sandbox: Sandbox) -> str:
    log = maintain(sandbox, "of-caches", "Complete")
    sandbox.kubectl("delete", "job", "of-caches", NAMESPACE)
    return log


@pytest.fixture(scope="module", autouse=True)
def cached(sandbox: Sandbox) -> Iterator[None]:
    """A cache of docker.io's stand-in, which the node pulls through, and shares."""
    sandbox.config(
        cache__hub__upstream=sandbox.layout.docker_io_endpoint,
        nodes__share=True,
        nodes__caFile=str(sandbox.layout.pki / "ca.crt"),
    )
    try:
        up(sandbox)
        on_node(sandbox, NODE_FILE, stdin=output(sandbox, "registries_yaml"))
        yield
    finally:
        on_node(sandbox, "rm -rf /etc/rancher/k3s; systemctl restart k3s")
        sandbox.kubectl("delete", "pods", "--all", "--wait=false")
        sandbox.pulumi("config", "rm", "cache")
        sandbox.pulumi("config", "rm", "nodes")
        up(sandbox)
        run_maintenance(sandbox)
    assert not keys(sandbox), "a cache that is no longer configured costs nothing"


@pytest.fixture
def cut_off(sandbox: Sandbox) -> Iterator[None]:
    """Nothing but the storage is reachable for the cache."""
    before: dict[str, Any] = sandbox.get(*POLICY)["spec"]
    spec = {**before, "egress": [x for x in before["egress"] if x["ports"] != _PORT]}
    assert len(spec["egress"]) == len(before["egress"]) - 1
    sandbox.kubectl("patch", *POLICY, "--type=merge", f"--patch={json.dumps({'spec': spec})}")
    try:
        yield
    finally:
        sandbox.kubectl("patch", *POLICY, "--type=merge", f"--patch={json.dumps({'spec': before})}")


_PORT = [{"port": 5000, "protocol": "TCP"}]


def test_k3s_own_parser_understands_the_whole_file(sandbox: Sandbox, tmp_path: Path) -> None:
    """k3s adds its embedded mirror to each of `mirrors`, and reads no other."""
    file = tmp_path / "registries.yaml"
    file.write_text(output(sandbox, "registries_yaml"))
    assert parsed(sandbox, file)["mirrors"] == {
        upstream(sandbox): {"endpoint": [f"https://{sandbox.registry}/v2/cache/hub"]},
        sandbox.registry: {},
    }


def test_the_node_pulls_through_the_cache_also_while_the_other_registry_is_down(
    sandbox: Sandbox, request: pytest.FixtureRequest
) -> None:
    """Without the cache, containerd would ask the stand-in by https, which it does not speak."""
    reference = f"{upstream(sandbox)}/{IMAGE}"
    sandbox.apply(pod("through", reference))
    eventually("pulled through the cache", partial(runs, sandbox, "through"))
    assert any("/blobs/" in key for key in keys(sandbox))
    request.getfixturevalue("cut_off")
    healthy = "can be pulled"
    eventually(
        "cut off",
        lambda: healthy not in sandbox.run("sh", "-c", _DOCTOR).stdout,
    )
    said = sandbox.run("sh", "-c", _DOCTOR).stdout
    assert "cache/hub/ cannot fetch what it does not have: GET " in said
    assert "; fix: kubectl --namespace registry logs deployment/cache-hub says why" in said
    sandbox.apply(pod("again", reference))
    eventually("pulled while it is down", partial(runs, sandbox, "again"))


_DOCTOR = "python3 -m scripts.client.doctor || true"


def test_clients_pull_by_the_caches_name_and_are_told_why_they_cannot_push(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    auth = tmp_path / "auth.json"
    sandbox.run("sh", "-c", f"{output(sandbox, 'login').strip()} --authfile {auth}")
    login = (f"--authfile={auth}",)
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    target = f"docker://{sandbox.registry}/cache/hub/{IMAGE}"
    sandbox.run("skopeo", "copy", *login, target, f"dir:{tmp_path}/whoami")
    result = sandbox.run("skopeo", "copy", *login, source, target, fails=True)
    assert "this is a cache of another registry, which takes pulls only" in result.stderr


def test_what_is_cached_is_no_image_of_the_registrys(sandbox: Sandbox) -> None:
    log = run_maintenance(sandbox)
    assert "\ncache hub: " in log
    assert "cache/hub" not in log
    status, _, body = sandbox.http("GET", "/v2/_catalog", login=True)
    assert status == 200
    assert not [x for x in json.loads(body)["repositories"] if x.startswith("cache/")]


def test_a_cache_that_would_hide_images_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    auth = tmp_path / "auth.json"
    sandbox.run("sh", "-c", f"{output(sandbox, 'login').strip()} --authfile {auth}")
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    target = f"docker://{sandbox.registry}/cache/taken/app:1"
    sandbox.run("skopeo", "copy", f"--authfile={auth}", source, target)
    sandbox.config(cache__taken__upstream="quay.io")
    try:
        result = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True)
        assert "there are images in cache/taken/, which a cache of that name" in result.stdout
        sandbox.run("skopeo", "inspect", f"--authfile={auth}", target)
    finally:
        sandbox.pulumi("config", "rm", "--path", "cache.taken")
        up(sandbox)
