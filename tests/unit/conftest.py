"""Golden files: `pytest tests/unit --update-goldens` writes them anew; then read the diff."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.odd_servers import odd_server
from tests.unit.servers import serve

__all__ = ["odd_server", "serve"]

# Pulumi's SDK leaves threads of gRPC behind, whose handlers of fork() can abort what a test starts:
# https://github.com/grpc/grpc/blob/master/doc/fork_support.md
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "false"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="write the golden files from what the code returns now, instead of comparing them",
    )
    parser.addoption(
        "--each-alone",
        action="store_true",
        help="let no test use the program's runs of tests before it",
    )


class Golden:
    """Compares texts with the files in golden/ beside the test, or writes these."""

    def __init__(self, folder: Path, *, update: bool) -> None:
        self.folder = folder
        self._update = update

    def __call__(self, name: str, text: str, why: str = "if that is meant") -> None:
        path = self.folder / name
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        expected = path.read_text() if path.exists() else ""
        assert text == expected, f"golden/{name} differs; {why}: {__doc__}"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    update = bool(request.config.getoption("--update-goldens"))
    return Golden(request.path.parent / "golden", update=update)
