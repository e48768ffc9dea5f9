"""Random worlds: what is acknowledged stays whole, and what nothing needs goes."""

from __future__ import annotations

import pytest

from tests.unit.scripts.fuzzer import failures


def test_nothing_that_was_acknowledged_is_ever_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/soak/test_model.py looks at more worlds."""
    assert not list(failures(monkeypatch, range(15)))


def test_if_pods_remembered_manifests_images_would_be_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would show nothing. About one in ten worlds shows it."""
    assert any(failures(monkeypatch, range(100), remembers_manifests=True))
