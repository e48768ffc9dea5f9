"""Starts and stops a sandbox: its namespaces, and the cluster and the cloud stand-in in them.

How many nodes a sandbox has is recorded in its state, so that it has as many after a `down`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sandbox.build import image_store
from sandbox.build.pinned_tools import CRDS
from sandbox.enclosure import enclosure, hosts
from sandbox.enclosure.namespaces import Namespace
from sandbox.enclosure.process import Process
from sandbox.enclosure.supervisor import Plan
from sandbox.files import write_public
from sandbox.k3s import NAMESPACE, systemctl, traefik
from sandbox.k3s.manifests import manifests
from sandbox.kube_api import KubeApi
from sandbox.layout import Layout, Node, SandboxError, claim, machine_routes, overlap
from sandbox.node import config, processes
from sandbox.progress import step

__all__ = ["SandboxError", "claim", "down", "is_up", "record_nodes", "up"]

_READY_WITHIN = 120.0
"""Seconds; a start takes about 6 on two cores."""

_RESPONDS_WITHIN = 30.0
"""Seconds for the API server of a sandbox that runs: on a busy machine a request may take some."""

_ASK_EVERY = 0.5
"""Seconds between two such requests."""

_LOG_LINES = 10
"""Of the supervisor's log, when a start fails."""


def up(layout: Layout, extra_processes: list[Process]) -> None:
    """Start the sandbox and wait until it is ready; harmless and fast if it is already.

    Args:
        layout: The sandbox, with packages, tools and images in place.
        extra_processes: What runs beside the node in its namespaces: the cloud's stand-ins.

    Raises:
        SandboxError: It did not become ready.
        PermissionError: Not root.
    """
    if is_up(layout):
        hosts.add(layout)
        _second_node(layout)
    else:
        _start(layout, extra_processes)


def record_nodes(layout: Layout, nodes: int) -> None:
    """Record how many nodes the sandbox has from the next :func:`up` on: 1 or 2."""
    write_public(_nodes_file(layout), str(nodes))


def _nodes_file(layout: Layout) -> Path:
    return layout.state / "nodes"


def _start(layout: Layout, extra_processes: list[Process]) -> None:
    """Start all nodes, and wait until they are ready."""
    # Whatever a crash left half made: to clean up and start anew is simpler than to go on.
    down(layout)
    if reason := overlap(layout, machine_routes()):
        raise SandboxError(
            f"{reason}: remove that route, or `make wipe` and let {layout.name} choose another"
        )
    since = time.time()
    config.write(layout)
    image_store.link(layout.tools, config.images_folder(layout.node))
    namespace = _namespace(layout.node, [layout.node_ip, layout.cloud_ip], {})
    every = [*processes.processes(layout), *extra_processes]
    enclosure.start(layout, _plan(layout, layout.node, namespace, every))
    hosts.add(layout)
    api = KubeApi.of(layout.kubeconfig)
    _wait(
        layout, layout.node, "starting the API server", lambda: "" if api.ready() else "no response"
    )
    with step("applying the cluster's own objects"):
        _apply(layout)
        _publish(layout, [layout.node])
    # What is waited for next may run there, or have run there.
    _second_node(layout)
    _wait(
        layout,
        layout.node,
        "waiting for node, DNS and ingress",
        lambda: processes.missing(api, layout.node, since),
    )
    enclosure.mark_ready(layout)


def _second_node(layout: Layout) -> None:
    """Start the second node and wait until it is ready, or remove it, as it is recorded."""
    file = _nodes_file(layout)
    if file.exists() and int(file.read_text()) > 1:
        _join(layout)
    else:
        _leave(layout)


def _join(layout: Layout) -> None:
    since, node = 0.0, layout.second_node
    if not enclosure.find_init(node):
        since = time.time()
        # What is left of one that was killed.
        enclosure.stop_node(node)
        config.write_node(layout, node)
        image_store.link(layout.tools, config.images_folder(node))
        namespace = _namespace(node, [node.ip], {layout.node.pods: layout.node_ip})
        enclosure.join(layout, _plan(layout, node, namespace, processes.agent(layout, node)))
    api = KubeApi.of(layout.kubeconfig)
    what = f"waiting for {node.name}"
    _wait(layout, node, what, lambda: processes.node_missing(api, node, since))
    _publish(layout, [layout.node, node])


def _leave(layout: Layout) -> None:
    node = layout.second_node
    if not node.folder.exists():
        return
    with step(f"removing {node.name}"):
        _publish(layout, [layout.node])
        enclosure.stop_node(node)
        _kubectl(layout, "delete", "node", node.name, "--ignore-not-found")
        # By itself the cluster forgets them after a minute.
        on_node = f"--field-selector=spec.nodeName={node.name}"
        _kubectl(layout, "delete", "pods", "--all-namespaces", on_node, "--force")
        shutil.rmtree(node.folder)


def down(layout: Layout) -> None:
    """Stop the sandbox and remove all that it has on the machine; its data stays.

    Args:
        layout: The sandbox; also one that is down, or up only in part.

    Raises:
        SandboxError: A process does not end.
        PermissionError: Not root.
    """
    with step("stopping"):
        enclosure.stop(layout)
    hosts.remove(layout)


def is_up(layout: Layout) -> bool:
    """Return whether :func:`up` was completed and the API server is ready, or is so soon."""
    limit = time.monotonic() + _RESPONDS_WITHIN
    while enclosure.is_marked_ready(layout):
        if KubeApi.of(layout.kubeconfig).ready():
            return True
        if time.monotonic() > limit:
            break
        time.sleep(_ASK_EVERY)
    return False


def _namespace(node: Node, addresses: list[str], routes: dict[str, str]) -> Namespace:
    return Namespace(
        folder=str(node.folder),
        addresses=[f"{ip}/24" for ip in addresses],
        services=config.SERVICES,
        pods=config.PODS,
        routes=routes,
    )


def _plan(layout: Layout, node: Node, namespace: Namespace, every: Sequence[Process]) -> Plan:
    ca, restarts = layout.pki / "ca.crt", systemctl.restarts(node)
    return Plan(namespace, list(every), layout.logs, ca, restarts)


def _apply(layout: Layout) -> None:
    _kubectl(
        layout,
        *("apply", "--server-side", "--force-conflicts"),
        *(f"--filename={layout.tools / crds}" for crds in CRDS),
        "--filename=-",
        stdin=json.dumps(manifests(layout)),
    )


def _publish(layout: Layout, nodes: list[Node]) -> None:
    """Let the ingress controller's Service have the nodes' addresses, as k3s' ServiceLB does."""
    patch = json.dumps(traefik.addresses(nodes))
    _kubectl(
        layout,
        *("patch", "service", "traefik", f"--namespace={NAMESPACE}"),
        *("--subresource=status", "--type=merge", f"--patch={patch}"),
    )


def _kubectl(layout: Layout, *args: str, stdin: str = "") -> None:
    run = subprocess.run(
        [str(layout.tools / "kubectl"), f"--kubeconfig={layout.kubeconfig}", *args],
        input=stdin,
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise SandboxError(f"the cluster refuses `kubectl {args[0]}`:\n{run.stderr}")


def _wait(layout: Layout, node: Node, what: str, missing: Callable[[], str]) -> None:
    """Wait until nothing is missing; a connection error counts as missing."""
    limit = time.monotonic() + _READY_WITHIN
    with step(what):
        while True:
            try:
                reason = missing()
            except OSError as error:
                reason = str(error)
            if not reason:
                return
            if not enclosure.find_init(node) or time.monotonic() > limit:
                log = enclosure.log_file(layout, node)
                tail = "\n".join(log.read_text().splitlines()[-_LOG_LINES:])
                raise SandboxError(f"{what}: {reason.strip()}\nthe end of {log}:\n{tail}")
            time.sleep(0.05)
