"""Many clients at once, and pods that come and go under them."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.sandbox.crane import Crane
from tests.sandbox.helpers import Sandbox, eventually

REGISTRY = "--selector=app.kubernetes.io/component=registry"


@pytest.fixture
def three_uploads_at_a_time(sandbox: Sandbox) -> Iterator[None]:
    # The least whose memory limit is not below the default request.
    sandbox.config(registry__parallelUploads=3)
    try:
        sandbox.pulumi("up", "--yes", "--skip-preview")
        yield
    finally:
        sandbox.pulumi("config", "rm", "--path", "registry.parallelUploads")
        sandbox.pulumi("up", "--yes", "--skip-preview")


def pods(sandbox: Sandbox) -> int:
    """Return how many pods there are, with those that are being deleted."""
    return len(sandbox.get("pods", "--namespace=registry", REGISTRY)["items"])


def layer(path: Path, size: int) -> Path:
    """Write a layer of random content."""
    with (
        gzip.open(path, "wb", compresslevel=0) as file,
        tarfile.open(fileobj=file, mode="w") as tar,
    ):
        entry = tarfile.TarInfo("content")
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return path


@pytest.mark.usefixtures("three_uploads_at_a_time")
def test_uploads_beyond_the_parallel_ones_wait(
    sandbox: Sandbox, crane: Crane, tmp_path: Path
) -> None:
    def push(number: int) -> None:
        file = layer(tmp_path / f"{number}.tar.gz", 40 * 2**20)
        crane.run("append", f"--new_layer={file}", f"--new_tag={sandbox.registry}/load/{number}:1")

    # All at once would take twice the memory limit.
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(push, range(10)))
    (pod,) = sandbox.pods()
    for registry in pod["status"]["initContainerStatuses"]:
        assert registry["restartCount"] == 0, "it was killed"


@pytest.mark.parametrize(
    ("clients", "rollouts"), [(6, 2), pytest.param(20, 20, marks=pytest.mark.chaos)]
)
def test_no_client_notices_a_rollout(
    sandbox: Sandbox, crane: Crane, tmp_path: Path, clients: int, rollouts: int
) -> None:
    stopped = False

    def push(number: int) -> int:
        count = 0
        while not stopped:
            file = layer(tmp_path / f"{number}-{count}.tar.gz", 100_000)
            crane.run(
                "append", f"--new_layer={file}", f"--new_tag={sandbox.registry}/load/{number}:1"
            )
            count += 1
        return count

    with ThreadPoolExecutor(clients) as pool:
        pushes = [pool.submit(push, number) for number in range(clients)]
        try:
            for command in ("restart", "status") * rollouts:
                sandbox.kubectl("rollout", command, "deployment/registry", "--namespace=registry")
            eventually("the last pod has stopped", lambda: pods(sandbox) == 1, seconds=90)
        finally:
            stopped = True
    pushed = sum(done.result() for done in pushes)
    print(f"{rollouts} rollouts under {clients} clients: {pushed} pushed, 0 failed")
    assert pushed > 10
