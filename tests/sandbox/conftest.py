"""One sandbox for all tests, started as a user does, and wiped at the end."""

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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that destroy images last, and of these the ones that leave no registry.

    With pytest-xdist, the tests of a file share a sandbox, and so do those that destroy images.
    """

    def last(item: pytest.Item) -> tuple[bool, bool]:
        return item.get_closest_marker("destroys") is not None, item.path.name == "test_destroy.py"

    items.sort(key=last)
    for item in items:
        group = "destroys" if last(item)[0] else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


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
