"""The servers of the soak, and how long it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.build import toolchain
from sandbox.build.pinned_tools import TOOLS
from tests.soak.cached import FIRST, RIGHTS, Cache
from tests.soak.pair import AuthProxy
from tests.soak.servers import HOSTS, Servers
from tests.soak.upstream import State, upstream

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


@pytest.fixture
def state() -> State:
    return State(FIRST)


@pytest.fixture
def cache(servers: Servers, state: State, tmp_path: Path) -> Iterator[Cache]:
    with upstream(state) as url:
        cache = Cache(servers, state, url)
        registry, manifests = (
            f"{HOSTS[0]}:{servers.inner_ports[x]}" for x in ("registry", "manifests")
        )
        proxy = AuthProxy(servers.tools, tmp_path, registry, manifests, f"{HOSTS[0]}:{cache.port}")
        proxy.configure(RIGHTS)
        cache.proxy = proxy
        try:
            cache.start()
            proxy.start()
            yield cache
        finally:
            cache.stop()
            proxy.stop()
