"""Random worlds: what is acknowledged stays whole, and what nothing needs goes."""

from __future__ import annotations

import pytest

from tests.unit.scripts import fake_bucket
from tests.unit.scripts.fuzzer import failures

WORLDS = 30


@pytest.fixture(autouse=True)
def larger_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each world has many runs, and each list several pages still."""
    monkeypatch.setattr(fake_bucket, "PAGE", 25)


def test_nothing_that_was_acknowledged_is_ever_broken() -> None:
    assert not failures(0, WORLDS)


def test_if_pods_remembered_manifests_images_would_be_lost() -> None:
    """Or the test above would show nothing."""
    assert failures(0, WORLDS, remembers_manifests=True)
