"""The model of tests/unit/scripts in more worlds than there."""

from __future__ import annotations

import pytest

from tests.soak.conftest import LONG
from tests.unit.scripts.fuzzer import failures


def test_in_no_world_something_breaks(monkeypatch: pytest.MonkeyPatch, operations: int) -> None:
    worlds = 2000 if operations >= LONG else 10
    assert not list(failures(monkeypatch, range(1000, 1000 + worlds)))
