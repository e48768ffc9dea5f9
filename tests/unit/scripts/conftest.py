"""What all tests of scripts share."""

from __future__ import annotations

import pytest

from scripts.maintenance import repair


@pytest.fixture(autouse=True)
def nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What seems to be missing is asked for again at once."""
    monkeypatch.setattr(repair, "SETTLE_SECONDS", 0)
