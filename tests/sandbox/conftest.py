"""A sandbox for all tests of a process, started as a user does, and wiped at the end.

`make test` runs two processes, each with some of the files.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import lifecycle
from tests.sandbox.crane import Crane, logged_in
from tests.sandbox.existing_buckets import minio, versitygw
from tests.sandbox.helpers import NAME, ROOT, Sandbox, cli

__all__ = ["minio", "versitygw"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests last that leave no registry."""
    items.sort(key=lambda item: item.path.name == "test_destroy.py")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    assert cli("wipe").returncode == 0
    up = cli("up")
    assert up.returncode == 0, up.stdout[-5000:]
    yield Sandbox(lifecycle.claim(ROOT, NAME), up.stdout)
    result = cli("wipe")
    assert result.returncode == 0, result.stdout


@pytest.fixture(scope="session")
def pull_password(sandbox: Sandbox) -> str:
    return sandbox.pulumi("stack", "output", "pull_password", "--show-secrets").stdout.strip()


@pytest.fixture(scope="session")
def ssl_context(sandbox: Sandbox) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(sandbox.layout.pki / "ca.crt"))


@pytest.fixture
def crane(sandbox: Sandbox, tmp_path: Path) -> Crane:
    """Return a client that has logged in as the admin."""
    return logged_in(sandbox, sandbox.registry, tmp_path / "crane", sandbox.password)
