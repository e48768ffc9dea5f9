"""The node configurator on two nodes, a server and an agent: one at a time, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from components.nodes.configurator import LEASE, LEASE_NAMESPACE, NAME
from sandbox.build import images
from sandbox.k3s import systemctl
from sandbox.layout import Node
from tests.sandbox.helpers import Sandbox, eventually, pod, runs
from tests.sandbox.nodes import FILE, hold_lease, on_node, up
from tests.sandbox.two_nodes import FIRST, SECOND, two_nodes

__all__ = ["two_nodes"]

CONFIGURATOR = "--namespace=registry-nodes"
DAEMON_SET = f"daemonset/{NAME}"

BROKEN = """\
#!/bin/sh
[ "$1 $2" = "is-active k3s-agent" ] && exit
[ "$1" = restart ] && echo "Job for $2.service failed" >&2
exit 1
"""
"""A systemctl with an agent that does not come back."""


def nodes(sandbox: Sandbox) -> tuple[Node, Node]:
    return sandbox.layout.node, sandbox.layout.second_node


def restarts(sandbox: Sandbox, node: Node) -> list[str]:
    """Return the units that were restarted on a node."""
    log = systemctl.log(sandbox.layout, node)
    return log.read_text().splitlines() if log.exists() else []


def pod_on(sandbox: Sandbox, node: Node) -> str:
    """Return the name of the configurator's pod on a node."""
    found = sandbox.pods(NAME, "registry-nodes")
    names = [x["metadata"]["name"] for x in found if x["spec"].get("nodeName") == node.name]
    assert len(names) == 1, "one is being replaced"
    return str(names[0])


def log(sandbox: Sandbox, node: Node) -> str:
    """Return what the configurator says on a node."""
    which = (pod_on(sandbox, node), CONFIGURATOR, "--container=configure", "--ignore-errors")
    return sandbox.kubectl("logs", *which).stdout


@pytest.fixture(scope="module")
def configured(sandbox: Sandbox, two_nodes: None) -> Iterator[None]:  # noqa: ARG001 (must run first)
    """Configure both nodes."""
    sandbox.config(
        nodes__mirrorPrefix="example.com",
        nodes__caFile=str(sandbox.layout.pki / "ca.crt"),
        nodes__configure=True,
    )
    try:
        up(sandbox)
        yield
    finally:
        sandbox.pulumi("config", "rm", "nodes")
        up(sandbox)
        on_node(sandbox, f"rm -f {FILE}; systemctl restart k3s")


@pytest.fixture
def repair(sandbox: Sandbox) -> Iterator[Callable[[], object]]:
    """Break the second node's agent; return what repairs it."""
    path = sandbox.layout.second_node.folder / "sbin" / "systemctl"
    works = path.read_text()
    # In place: the node has it by an overlay, which goes on to show a file that was replaced.
    path.write_text(BROKEN)
    try:
        yield lambda: path.write_text(works)
    finally:
        path.write_text(works)
        # A test that failed halfway leaves it held, and the tests after it would wait for it.
        options = ("--wait=false", "--ignore-not-found")
        sandbox.kubectl("delete", f"--namespace={LEASE_NAMESPACE}", "lease", LEASE, *options)


@pytest.mark.long
@pytest.mark.usefixtures("configured")
def test_a_server_and_an_agent_are_restarted_once_each_and_pull(sandbox: Sandbox) -> None:
    first, second = nodes(sandbox)
    assert restarts(sandbox, second) == ["restart k3s-agent"]
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    login = f"--dest-creds=admin:{sandbox.password}"
    target = f"docker://{sandbox.registry}/nodes/whoami:1"
    sandbox.run("skopeo", "copy", login, source, target)
    image = "example.com/nodes/whoami:1"
    sandbox.apply(*(pod(f"on-{x.name}", image, nodeName=x.name) for x in (first, second)))
    try:
        for node in (first, second):
            eventually(f"{node.name} pulls", partial(runs, sandbox, f"on-{node.name}"))
    finally:
        sandbox.kubectl("delete", "pods", *(f"on-{x.name}" for x in (first, second)))


@pytest.mark.long
@pytest.mark.usefixtures("configured")
def test_while_a_node_does_not_come_back_the_other_one_is_not_touched(
    sandbox: Sandbox, repair: Callable[[], object]
) -> None:
    """A server's k3s that is restarted meanwhile may be the only one that is left."""
    first, second = nodes(sandbox)
    before = {node.name: restarts(sandbox, node) for node in (first, second)}
    for node in (first, second):
        on_node(sandbox, f"rm {FILE}", node=node)
    # The agent has the lock, so that it is the first one.
    hold_lease(sandbox, SECOND)
    sandbox.kubectl("rollout", "restart", CONFIGURATOR, DAEMON_SET)
    eventually(
        "the agent fails", lambda: "systemctl restart k3s-agent: Job" in log(sandbox, second)
    )
    eventually("the server waits", lambda: f"waiting for {SECOND}/" in log(sandbox, first))

    def tries() -> int:
        found = sandbox.get("pod", pod_on(sandbox, second), CONFIGURATOR)["status"]
        return int(found["initContainerStatuses"][0]["restartCount"])

    eventually("the agent has failed thrice", lambda: tries() > 1, 120)
    assert restarts(sandbox, first) == before[FIRST]
    on_node(sandbox, f"test ! -e {FILE}", node=first)
    repair()
    sandbox.kubectl("delete", "pod", pod_on(sandbox, second), CONFIGURATOR)
    sandbox.kubectl("rollout", "status", CONFIGURATOR, DAEMON_SET, "--timeout=120s")
    assert restarts(sandbox, first) == [*before[FIRST], "restart k3s"]
    assert restarts(sandbox, second) == [*before[SECOND], "restart k3s-agent"]
    assert LEASE not in sandbox.kubectl("get", "leases", f"--namespace={LEASE_NAMESPACE}").stdout
