"""The servers of the soak, and how long it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.build import toolchain
from sandbox.build.pinned_tools import TOOLS
from tests.soak.servers import Servers

ROOT = Path(__file__).parent.parent.parent

SHORT, LONG = 1_000, 10_000
"""How many acknowledged operations a history has in `make test`, and in `make soak`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--operations",
        type=int,
        default=SHORT,
        help="how many acknowledged operations a history has",
    )


@pytest.fixture(scope="session")
def tools() -> Path:
    folder = ROOT / ".sandbox" / "tools"
    wanted = [tool for tool in TOOLS if tool.name in {"caddy", "registry", "versitygw"}]
    toolchain.build(folder, wanted, [])
    return folder


@pytest.fixture
def servers(tools: Path, tmp_path: Path) -> Iterator[Servers]:
    started = Servers(tools, tmp_path)
    try:
        started.start()
        yield started
    finally:
        started.stop_all()


@pytest.fixture
def operations(request: pytest.FixtureRequest) -> int:
    """How many acknowledged operations a history has."""
    return int(request.config.getoption("--operations"))
