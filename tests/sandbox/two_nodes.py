"""A second node beside the first one, two replicas, and clients that push meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from sandbox.enclosure import enclosure
from tests.sandbox.crane import new_layer
from tests.sandbox.helpers import Sandbox, cli

FIRST, SECOND = "node", "node-2"
NAMESPACE = "--namespace=registry"
DEPLOYMENT = "deployment/registry"


@pytest.fixture(scope="module")
def two_nodes(sandbox: Sandbox) -> Iterator[None]:
    """Run two replicas on two nodes; there is one of each again at the end."""
    sandbox.config(registry__replicas=2)
    try:
        joined = cli("up --nodes 2", sandbox.layout.name)
        assert joined.returncode == 0, joined.stdout[-5000:]
        yield
    finally:
        sandbox.pulumi("config", "rm", "--path", "registry.replicas")
        left = cli("up --nodes 1", sandbox.layout.name)
    assert left.returncode == 0, left.stdout[-5000:]
    assert SECOND not in sandbox.kubectl("get", "nodes").stdout


def rejoin(sandbox: Sandbox) -> None:
    """Bring a second node back that was lost."""
    result = cli("up", sandbox.layout.name)
    assert result.returncode == 0, result.stdout[-5000:]


def places(sandbox: Sandbox) -> list[str]:
    """Return the nodes of the registry's pods, without those that are being deleted."""
    return sorted(pod["spec"]["nodeName"] for pod in sandbox.pods())


def ready_places(sandbox: Sandbox) -> list[str]:
    """Return the nodes of the pods that clients are led to."""
    slices = sandbox.get(
        "endpointslices", NAMESPACE, "--selector=kubernetes.io/service-name=registry"
    )
    endpoints = [x for item in slices["items"] for x in item.get("endpoints") or []]
    return sorted(x["nodeName"] for x in endpoints if x["conditions"]["ready"])


def restart(sandbox: Sandbox) -> None:
    """Replace all pods, and wait for the new ones."""
    sandbox.kubectl("rollout", "restart", DEPLOYMENT, NAMESPACE)
    rolled_out(sandbox)


def rolled_out(sandbox: Sandbox) -> None:
    sandbox.kubectl("rollout", "status", DEPLOYMENT, NAMESPACE, "--timeout=180s")


AGAIN = 'timeout 60 "$@"; status=$?; [ $status = 124 ] || exit $status; exec timeout 60 "$@"'
"""A shell's command that does another one again, if that takes longer than a minute."""


@contextmanager
def pushing(sandbox: Sandbox, folder: Path, clients: int = 2) -> Iterator[list[float]]:
    """Push all the while; yield the seconds that each push has taken. The first failure is raised.

    Each push is a crane's, which tries a request again that got no response. It verifies
    certificates: with --insecure it would try HTTP where a TLS handshake fails. A push that is
    under way on a node that dies may hang, so each has a time limit: docs/operations.md.
    """
    stopping, seconds = threading.Event(), list[float]()
    crane = ("env", f"DOCKER_CONFIG={folder}", "crane")
    login = ("auth", "login", sandbox.registry, "--username=admin", "--password-stdin")
    sandbox.run(*crane, *login, stdin=sandbox.password)

    def work(client: int) -> None:
        layer, number = folder / f"{client}.tar.gz", 0
        while not stopping.is_set():
            new_layer(layer, 10_000)
            start = time.monotonic()
            tag = f"--new_tag={sandbox.registry}/nodes/{client}:{number}"
            push = (*crane, "append", f"--new_layer={layer}", tag)
            sandbox.run("sh", "-c", AGAIN, "sh", *push)
            seconds.append(time.monotonic() - start)
            number += 1

    with ThreadPoolExecutor(clients) as pool:
        pushes = [pool.submit(work, client) for client in range(clients)]
        try:
            yield seconds
        finally:
            stopping.set()
    for push in pushes:
        push.result()


@contextmanager
def silent(sandbox: Sandbox) -> Iterator[None]:
    """Drop whatever the second node sends; it works, and nobody hears of it."""
    inside = enclosure.enter(sandbox.layout.node)
    rule = ("PREROUTING", "--in-interface", SECOND, "--jump", "DROP")
    sandbox.run(*inside, "iptables", "--table", "raw", "--insert", *rule)
    try:
        yield
    finally:
        sandbox.run(*inside, "iptables", "--table", "raw", "--delete", *rule)


def kill(sandbox: Sandbox) -> None:
    """Kill the second node with all that runs on it; its interface goes with it."""
    for pid in enclosure.find_all(sandbox.layout.second_node):
        # One of them takes the others with it.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
