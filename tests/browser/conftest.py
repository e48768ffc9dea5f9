"""A registry with images of all kinds, and a browser."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.build import debian, toolchain
from sandbox.build.pinned_tools import TOOLS
from tests.browser.chromium import Chromium
from tests.browser.library import RIGHTS, fill
from tests.soak.servers import HOSTS, PASSWORD, Servers

ROOT = Path(__file__).parent.parent.parent

PACKAGES = {"chromium": "chromium", "/usr/share/fonts/truetype/dejavu": "fonts-dejavu-core"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--screenshots", action="store_true", help="write those of docs/page.md")


@pytest.fixture(scope="session")
def tools() -> Path:
    debian.install(PACKAGES)
    folder = ROOT / ".sandbox" / "tools"
    wanted = [tool for tool in TOOLS if tool.name in {"caddy", "registry", "versitygw"}]
    toolchain.build(folder, wanted, [])
    return folder


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core: https://github.com/dequelabs/axe-core."""
    folder = ROOT / ".sandbox" / "axe"
    script = folder / "axe_playwright_python" / "axe.min.js"
    if not script.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        wanted = f"--requirement={Path(__file__).parent / 'axe.txt'}"
        subprocess.run([*command, "--no-deps", f"--target={folder}", wanted], check=True)
    return script.read_text()


@pytest.fixture(scope="session")
def servers(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("servers")
    started = Servers(tools, folder, users=("admin", *RIGHTS), rights=RIGHTS, page=True, scan=True)
    try:
        started.start()
        fill(started)
        yield started
    finally:
        started.stop_all()


@pytest.fixture(scope="session")
def place(servers: Servers) -> str:
    return f"{HOSTS[0]}:{servers.registry_port}"


@pytest.fixture
def user() -> str:
    """Whom the browser logs in as; a test may be of another one."""
    return "admin"


@pytest.fixture
def browser(user: str, place: str) -> Iterator[Chromium]:
    # Its processes end a moment after it.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        started = Chromium(Path(folder), user, PASSWORD, place)
        started.look(1000, 800)
        try:
            yield started
        finally:
            started.stop()
