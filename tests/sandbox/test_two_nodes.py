"""Two nodes: where pods are, what clients notice of drains and losses, and both addresses."""

from __future__ import annotations

import shlex
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.maintenance import suspended
from tests.sandbox.test_collection import COLLECT, blobs, image_folder, job
from tests.sandbox.two_nodes import (
    FIRST,
    NAMESPACE,
    SECOND,
    kill,
    places,
    pushing,
    ready_places,
    rejoin,
    restart,
    two_nodes,
)

__all__ = ["two_nodes"]

pytestmark = pytest.mark.usefixtures("two_nodes")

REGISTRY = "--pod-selector=app.kubernetes.io/component=registry"


def new_settings(sandbox: Sandbox) -> None:
    sandbox.config(registry__parallelUploads=5)
    sandbox.pulumi("up", "--yes", "--skip-preview")


def old_settings(sandbox: Sandbox) -> None:
    sandbox.pulumi("config", "rm", "--path", "registry.parallelUploads")
    sandbox.pulumi("up", "--yes", "--skip-preview")


def new_storage_key(sandbox: Sandbox) -> None:
    urns = sandbox.pulumi("stack", "--show-urns").stdout.split()
    (urn,) = [urn for urn in urns if urn.endswith("::storage-key")]
    sandbox.pulumi("up", "--yes", "--skip-preview", "--replace", urn)


def replaces_all_and_spreads(sandbox: Sandbox, rollout: Callable[[Sandbox], None]) -> None:
    """Check that all pods are other ones after a rollout, and on both nodes."""
    before = {pod["metadata"]["name"] for pod in sandbox.pods()}
    rollout(sandbox)
    assert before.isdisjoint(pod["metadata"]["name"] for pod in sandbox.pods()), rollout
    assert places(sandbox) == [FIRST, SECOND], rollout


def test_new_pods_are_on_both_nodes(sandbox: Sandbox) -> None:
    """Or one node that is lost takes all of the registry with it."""
    assert places(sandbox) == [FIRST, SECOND]
    for _ in range(2):
        replaces_all_and_spreads(sandbox, restart)


@pytest.mark.long
def test_new_pods_are_on_both_nodes_after_every_kind_of_rollout(sandbox: Sandbox) -> None:
    for rollout in (new_settings, new_storage_key, old_settings):
        replaces_all_and_spreads(sandbox, rollout)


def both_are_on(sandbox: Sandbox, node: str) -> bool:
    return ready_places(sandbox) == [node, node]


@pytest.mark.long
def test_no_push_fails_while_one_node_after_the_other_is_drained(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with pushing(sandbox, tmp_path) as seconds:
        for node, other in ((FIRST, SECOND), (SECOND, FIRST)):
            sandbox.kubectl("drain", node, REGISTRY, "--delete-emptydir-data", "--timeout=240s")
            try:
                eventually("both are on the other", partial(both_are_on, sandbox, other))
            finally:
                sandbox.kubectl("uncordon", node)
    assert len(seconds) > 10, "the test does not show much"
    restart(sandbox)
    assert places(sandbox) == [FIRST, SECOND], "as docs/operations.md says"


@pytest.fixture
def no_zone(sandbox: Sandbox) -> Iterator[None]:
    yield
    sandbox.pulumi("config", "rm", "--path", "dns")
    sandbox.pulumi("up", "--yes", "--skip-preview")


def response(sandbox: Sandbox, ip: str, ssl_context: ssl.SSLContext) -> bytes:
    """Return the first line of what the registry says at an address."""
    request = f"GET /v2/ HTTP/1.1\r\nHost: {sandbox.registry}\r\nConnection: close\r\n\r\n"
    with (
        socket.create_connection((ip, 443), timeout=10) as plain,
        ssl_context.wrap_socket(plain, server_hostname=sandbox.registry) as secure,
    ):
        secure.sendall(request.encode())
        return secure.recv(1000).partition(b"\r\n")[0]


@pytest.mark.usefixtures("no_zone")
def test_both_nodes_lead_to_the_registry_and_dns_has_both_addresses(
    sandbox: Sandbox, ssl_context: ssl.SSLContext
) -> None:
    ips = sorted([sandbox.layout.node.ip, sandbox.layout.second_node.ip])

    def addresses() -> list[str]:
        status = sandbox.get("ingress", "registry", NAMESPACE)["status"]
        return sorted(x["ip"] for x in status["loadBalancer"]["ingress"])

    eventually("Traefik tells both", lambda: addresses() == ips)
    for ip in ips:
        assert response(sandbox, ip, ssl_context) == b"HTTP/1.1 401 Unauthorized"
    preview = sandbox.pulumi("preview")
    assert "leads to" not in preview.stdout + preview.stderr, "one of both is right"
    sandbox.config(dns__zone=sandbox.layout.domain)
    refused = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True)
    said = refused.stdout + refused.stderr
    assert f"addresses that not everybody reaches: {', '.join(ips)}" in said, said
    fix = next(line for line in said.splitlines() if "fix: pulumi" in line).partition("fix: ")[2]
    for command in fix.split(" && "):
        sandbox.run(*shlex.split(command))
    sandbox.pulumi("up", "--yes", "--skip-preview")
    listed = sandbox.api("GET", f"domains/{sandbox.layout.domain}/records")["domain_records"]
    assert sorted((x["type"], x["name"], x["data"]) for x in listed) == [
        ("A", "registry", ip) for ip in ips
    ]


@pytest.mark.long
def test_pods_on_both_nodes_forget_what_the_maintenance_deletes(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Or a push of the same layer ends at the one that takes it for stored."""
    assert places(sandbox) == [FIRST, SECOND]
    digests = image_folder(tmp_path / "image")
    image = f"docker://{sandbox.registry}/nodes/collected:1"
    login = f"admin:{sandbox.password}"
    copy = ("skopeo", "copy", "--preserve-digests")

    def pull(name: str) -> None:
        # As many times as it takes for Traefik to have led to both.
        for number in range(4):
            sandbox.run(*copy, f"--src-creds={login}", image, f"dir:{tmp_path}/{name}-{number}")

    push = (*copy, f"--dest-creds={login}", f"dir:{tmp_path}/image", image)
    sandbox.run(*push)
    pull("before")
    sandbox.run("skopeo", "delete", f"--creds={login}", image)
    with suspended(sandbox):
        job(sandbox, "collect", COLLECT)
    assert blobs(sandbox, digests) == []
    sandbox.run(*push)
    pull("after")
    assert blobs(sandbox, digests) == digests


@pytest.mark.long
def test_no_push_fails_when_a_node_dies(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its interface is gone, too, so that Traefik is refused at once; see test_lost_nodes.py."""
    assert places(sandbox) == [FIRST, SECOND]
    try:
        with pushing(sandbox, tmp_path) as seconds:
            eventually("clients push", lambda: len(seconds) > 2)
            kill(sandbox)
            time.sleep(10)
    finally:
        rejoin(sandbox)
    eventually("both serve", lambda: ready_places(sandbox) == [FIRST, SECOND], 120)
