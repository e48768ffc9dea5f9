"""Starts and stops a sandbox: its namespaces, and the cluster and the cloud stand-in in them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable

from sandbox.build import image_store
from sandbox.build.pinned_tools import CRDS
from sandbox.enclosure import enclosure, hosts
from sandbox.enclosure.namespaces import Namespace
from sandbox.enclosure.process import Process
from sandbox.enclosure.supervisor import Plan
from sandbox.k3s.manifests import manifests
from sandbox.kube_api import KubeApi
from sandbox.layout import Layout, SandboxError, claim, machine_routes, overlap
from sandbox.node import config, processes
from sandbox.progress import step

__all__ = ["SandboxError", "claim", "down", "is_up", "up"]

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
        return
    # Whatever a crash left half made: to clean up and start anew is simpler than to go on.
    down(layout)
    if reason := overlap(layout, machine_routes()):
        raise SandboxError(
            f"{reason}: remove that route, or `make wipe` and let {layout.name} choose another"
        )
    since = time.time()
    config.write(layout)
    image_store.link(layout.tools, config.images_folder(layout))
    enclosure.start(layout, _plan(layout, extra_processes))
    hosts.add(layout)
    api = KubeApi.of(layout.kubeconfig)
    _wait(layout, "starting the API server", lambda: "" if api.ready() else "no response")
    with step("applying the cluster's own objects"):
        _apply(layout)
    _wait(
        layout,
        "waiting for node, DNS and ingress",
        lambda: processes.missing(api, layout.node_ip, since),
    )
    enclosure.mark_ready(layout)


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


def _plan(layout: Layout, extra_processes: list[Process]) -> Plan:
    return Plan(
        Namespace(
            folder=str(config.folder(layout)),
            addresses=[f"{layout.node_ip}/24", f"{layout.cloud_ip}/24"],
            services=config.SERVICES,
        ),
        [*processes.processes(layout), *extra_processes],
        layout.logs,
        layout.pki / "ca.crt",
    )


def _apply(layout: Layout) -> None:
    run = subprocess.run(
        [
            *(str(layout.tools / "kubectl"), f"--kubeconfig={layout.kubeconfig}"),
            *("apply", "--server-side", "--force-conflicts"),
            *(f"--filename={layout.tools / crds}" for crds in CRDS),
            "--filename=-",
        ],
        input=json.dumps(manifests(layout)),
        capture_output=True,
        text=True,
    )
    if run.returncode:
        raise SandboxError(f"the cluster rejects its own objects:\n{run.stderr}")


def _wait(layout: Layout, what: str, missing: Callable[[], str]) -> None:
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
            if not enclosure.find_init(layout) or time.monotonic() > limit:
                log = enclosure.log_file(layout)
                tail = "\n".join(log.read_text().splitlines()[-_LOG_LINES:])
                raise SandboxError(f"{what}: {reason.strip()}\nthe end of {log}:\n{tail}")
            time.sleep(0.05)
