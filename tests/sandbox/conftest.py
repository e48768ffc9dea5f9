"""One sandbox of the tests' own, brought up as a user does, and taken down at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox import lifecycle
from tests.sandbox.helpers import NAME, ROOT, Sandbox, cli


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests that destroy the registry last: all others share the one that `up` created."""
    items.sort(key=lambda item: item.get_closest_marker("destroys") is not None)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    assert cli("wipe").returncode == 0
    brought = cli("up")
    assert brought.returncode == 0, brought.stdout[-5000:]
    yield Sandbox(lifecycle.claim(ROOT, NAME), brought.stdout)
    done = cli("wipe")
    assert done.returncode == 0, done.stdout
