"""Fixtures of the tests of the sandbox's stand-ins."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from botocore.client import BaseClient

from sandbox.cloud.api import Server
from sandbox.cloud.delays import Delays
from sandbox.cloud.domains import Domains
from sandbox.cloud.droplets import Droplets
from sandbox.cloud.keys import Keys
from tests.unit.sandbox.fakes import FakeIam

TOKEN = "dop_v1_of_a_test"


@pytest.fixture
def iam() -> FakeIam:
    return FakeIam()


@pytest.fixture
def spaces(tmp_path: Path) -> Path:
    """The folder of the Spaces, for a test to change."""
    folder = tmp_path / "spaces"
    folder.mkdir()
    return folder


@pytest.fixture
def delays(iam: FakeIam, spaces: Path) -> Delays:
    return Delays(cast("BaseClient", iam), spaces)


@pytest.fixture
def keys(tmp_path: Path, iam: FakeIam, delays: Delays) -> Keys:
    return Keys(tmp_path / "keys.json", cast("BaseClient", iam), delays)


@pytest.fixture
def domains(tmp_path: Path) -> Domains:
    return Domains(tmp_path / "domains.json", ["example.com"])


@pytest.fixture
def droplets(tmp_path: Path) -> Droplets:
    return Droplets(tmp_path / "droplets.json", "203.0.113.4")


@pytest.fixture
def api(keys: Keys, domains: Domains, delays: Delays, droplets: Droplets) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), TOKEN, keys, domains, delays, droplets) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
