"""What clients and images see of containers that are killed, and of an API server that is away.

The figures that `make chaos` prints are in docs/reliability.md.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from components.registry.pod import PROXY_MEMORY_MIB
from sandbox.enclosure.enclosure import find_init
from tests.faults.interrupted import changed_resources, repair
from tests.sandbox.crane import Crane, logged_in
from tests.sandbox.helpers import ROOT, RUN_SECONDS, Sandbox, eventually
from tests.sandbox.maintenance import NAMESPACE, log_of, suspended
from tests.sandbox.processes import find, stopped
from tests.sandbox.test_moves import stack_with_a_space
from tests.sandbox.test_rotation import load, output
from tests.soak.crowd import crowd, report
from tests.soak.servers import most_memory

PROCESSES = {
    "auth-proxy": ("caddy", "run"),
    "registry": ("registry", "/etc/registry/config/config.yml"),
    "manifests": ("registry", "/etc/registry/config/manifests.yml"),
}
"""Some arguments of the process of each container."""

TRAEFIK = "--providers.kubernetescrd"
"""An argument of Traefik's process."""

CONTROL_PLANE = ("--allow-privileged=true", "--use-service-account-credentials=true")
"""An argument of the API server, and of the controller manager."""

AWAY_SECONDS = 60
"""For how long the API server is away."""

CONNECTIONS, CROWD_SECONDS = 10_000, 120
"""How many connections strangers hold, and for how long."""

PUSHES = 10

STRANGERS = 5
"""How many addresses they come from. Traefik lets each have 2,000 to the registry."""


class Pushes:
    """Clients that push all the while, and push again what failed."""

    def __init__(self, crane: Crane, name: str) -> None:
        self._crane, self._name = crane, name
        self._stopping = threading.Event()
        self.acknowledged: list[str] = []
        self.counts: Counter[str] = Counter()

    @contextmanager
    def of(self, clients: int) -> Iterator[None]:
        with ThreadPoolExecutor(clients) as pool:
            done = [pool.submit(self._work, number) for number in range(clients)]
            try:
                yield
            finally:
                self._stopping.set()
        for each in done:
            each.result()

    def _work(self, number: int) -> None:
        count = 0
        while not self._stopping.is_set():
            image = f"chaos/{self._name}-{number}:{count}"
            try:
                self._crane.push(image)
            except AssertionError:
                self.counts["failed"] += 1
                time.sleep(1)
                continue
            self.acknowledged.append(image)
            count += 1

    def check(self) -> None:
        """Pull all that was acknowledged, which compares each byte with its digest."""
        for image in self.acknowledged:
            self._crane.pull(image)


def restarts(sandbox: Sandbox) -> dict[str, int]:
    (pod,) = sandbox.pods()
    statuses = pod["status"]["initContainerStatuses"] + pod["status"]["containerStatuses"]
    return {status["name"]: status["restartCount"] for status in statuses}


def is_ready(sandbox: Sandbox) -> bool:
    deployment = sandbox.get("deployment", "registry", NAMESPACE)
    return bool(deployment["status"].get("readyReplicas") == 1)


@pytest.mark.chaos
@pytest.mark.parametrize("container", PROCESSES)
def test_a_container_that_is_killed_in_uploads_loses_nothing_acknowledged(
    sandbox: Sandbox, crane: Crane, container: str
) -> None:
    before = restarts(sandbox)
    pushes = Pushes(crane, container)
    with pushes.of(6):
        eventually("pushes are under way", lambda: len(pushes.acknowledged) > 6)
        (pid,) = find(sandbox, *PROCESSES[container])
        os.kill(pid, signal.SIGKILL)
        killed, number = time.monotonic(), len(pushes.acknowledged)
        eventually("it runs again", lambda: restarts(sandbox)[container] > before[container])
        eventually("the pod is ready", lambda: is_ready(sandbox), 120)
        eventually("pushes go on", lambda: len(pushes.acknowledged) > number + 6)
        seconds = time.monotonic() - killed
    print(f"{container}: {seconds:.1f} s, {len(pushes.acknowledged)} pushed, {pushes.counts}")
    pushes.check()
    assert {**before, container: before[container] + 1} == restarts(sandbox)


@contextmanager
def control_plane_killed(sandbox: Sandbox) -> Iterator[None]:
    """Kill what k3s is in one process, but for the kubelet; it is started again at the end."""
    init = find_init(sandbox.layout.node)
    os.kill(init, signal.SIGSTOP)
    try:
        for argument in CONTROL_PLANE:
            (pid,) = find(sandbox, argument)
            os.kill(pid, signal.SIGKILL)
        yield
    finally:
        os.kill(init, signal.SIGCONT)
        eventually("it is back", lambda: bool(sandbox.get("nodes")["items"]))


@pytest.mark.chaos
def test_a_run_of_the_maintenance_needs_no_api_server(sandbox: Sandbox, crane: Crane) -> None:
    crane.push("chaos/maintained:1")
    name = "maintenance-away"

    def phases() -> list[str]:
        pods = sandbox.get("pods", f"--selector=job-name={name}", NAMESPACE)["items"]
        return [pod["status"]["phase"] for pod in pods]

    with suspended(sandbox):
        with ExitStack() as away:
            # So that it is in the middle.
            with stopped(find(sandbox, "posix")):
                sandbox.kubectl("create", "job", name, "--from=cronjob/maintenance", NAMESPACE)
                eventually("it runs", lambda: phases() == ["Running"], 120)
                away.enter_context(control_plane_killed(sandbox))
            time.sleep(AWAY_SECONDS)
        log = log_of(sandbox, name, "Complete")
    assert "FAILED" not in log
    crane.pull("chaos/maintained:1")
    sandbox.kubectl("delete", "job", name, NAMESPACE)


@pytest.mark.chaos
def test_no_client_notices_a_rotation_whose_api_server_is_away(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with stack_with_a_space(sandbox, "away", "delete") as stack:
        stack.config(tls__mode="none")
        stack.pulumi("up", "--yes", "--skip-preview")
        hostname = f"away.{sandbox.layout.domain}"
        first = logged_in(stack, hostname, tmp_path / "first", output(stack, "password"))
        counts: list[int] = []
        with load(first, counts):
            stack.config(rotation=2)
            log = tmp_path / "events"
            up = subprocess.Popen(
                [
                    *("pulumi", "--non-interactive", "up", "--yes", "--skip-preview"),
                    f"--event-log={log}",
                ],
                cwd=ROOT,
                # Shows the option --event-log.
                env=stack.environment | {"PULUMI_DEBUG_COMMANDS": "true"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            eventually("it is in the middle", lambda: changed_resources(log) >= 8)
            with control_plane_killed(sandbox):
                time.sleep(AWAY_SECONDS)
            shown, _ = up.communicate(timeout=RUN_SECONDS)
            print(f"rotation: exit status {up.returncode}\n{shown[-2000:]}")
            if up.returncode:
                repair(stack, "up")
        print(f"{len(counts)} pushed and pulled meanwhile, 0 failed")
        assert len(counts) > 3, "the test does not show much"
        first.push("team/app:first")
        second = logged_in(stack, hostname, tmp_path / "second", output(stack, "password"))
        second.pull("team/app:first")
        stack.pulumi("preview", "--expect-no-changes")


def seconds_of_pushes(crane: Crane, name: str) -> list[float]:
    seconds = []
    for number in range(PUSHES):
        start = time.monotonic()
        crane.push(f"chaos/{name}:{number}")
        seconds.append(time.monotonic() - start)
    return seconds


@contextmanager
def addresses(sandbox: Sandbox, count: int) -> Iterator[list[str]]:
    """Give this machine more addresses, for so many attackers."""
    prefix = sandbox.layout.machine_ip.rpartition(".")[0]
    added = [f"{prefix}.{number}" for number in range(101, 101 + count)]
    device = ["dev", sandbox.layout.interface]
    with ExitStack() as undo:
        for address in added:
            subprocess.run(["ip", "address", "add", f"{address}/24", *device], check=True)
            undo.callback(subprocess.run, ["ip", "address", "del", f"{address}/24", *device])
        yield added


@pytest.mark.chaos
def test_ten_thousand_connections_neither_end_the_pod_nor_stop_pushes(
    sandbox: Sandbox, crane: Crane
) -> None:
    (proxy,) = find(sandbox, *PROCESSES["auth-proxy"])
    (traefik,) = find(sandbox, TRAEFIK)
    before, alone = restarts(sandbox), seconds_of_pushes(crane, "alone")
    size = most_memory(proxy)
    with (
        addresses(sandbox, STRANGERS) as sources,
        crowd(
            sandbox.layout.node_ip,
            443,
            CONNECTIONS,
            CROWD_SECONDS,
            rate=300,
            sources=sources,
            tls=sandbox.registry,
        ) as running,
    ):
        beside = seconds_of_pushes(crane, "beside")
        print(f"crowd: {report(running)}")
    print(
        f"a push takes {statistics.median(alone):.2f} s, and {statistics.median(beside):.2f} s "
        f"beside them (up to {max(beside):.2f}); auth proxy {size / 2**20:.0f} MiB, then "
        f"{most_memory(proxy) / 2**20:.0f} of {PROXY_MEMORY_MIB}, Traefik "
        f"{most_memory(traefik) / 2**20:.0f} MiB"
    )
    assert find(sandbox, *PROCESSES["auth-proxy"]) == [proxy]
    assert find(sandbox, TRAEFIK) == [traefik]
    assert restarts(sandbox) == before
    assert most_memory(proxy) < PROXY_MEMORY_MIB * 2**20
