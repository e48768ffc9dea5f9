"""A node that is lost: what clients notice, and when the registry is whole again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from components.registry.pod import LOST_NODE_SECONDS
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.two_nodes import (
    FIRST,
    SECOND,
    kill,
    places,
    pushing,
    ready_places,
    rejoin,
    restart,
    silent,
    two_nodes,
)

__all__ = ["two_nodes"]

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("two_nodes")]

NOTICED_WITHIN = 75
"""Seconds: the default of --node-monitor-grace-period is 50, and a look each 5."""

REPLACED_WITHIN = LOST_NODE_SECONDS + 60
"""Seconds from then until another pod is ready."""


def whole(sandbox: Sandbox) -> None:
    """Wait until both nodes work, and spread the pods, as docs/operations.md says."""
    wait = ("wait", f"node/{SECOND}", "--for=condition=Ready", "--timeout=120s")
    sandbox.kubectl(*wait)
    restart(sandbox)
    eventually("both serve", lambda: ready_places(sandbox) == [FIRST, SECOND], 120)


def replaced(sandbox: Sandbox) -> None:
    """Wait until the first node has both replicas."""
    eventually("the loss is noticed", lambda: ready_places(sandbox) == [FIRST], NOTICED_WITHIN)
    eventually("another one", lambda: ready_places(sandbox) == [FIRST, FIRST], REPLACED_WITHIN)


def test_a_node_that_dies_is_replaced_and_no_push_fails(sandbox: Sandbox, tmp_path: Path) -> None:
    assert places(sandbox) == [FIRST, SECOND]
    try:
        with pushing(sandbox, tmp_path) as seconds:
            kill(sandbox)
            replaced(sandbox)
    finally:
        rejoin(sandbox)
    assert len(seconds) > 20, "the test does not show much"
    whole(sandbox)


def test_a_silent_node_is_felt_until_it_is_noticed_and_then_no_more(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Traefik leads every second connection to it, which hangs: docs/operations.md."""
    assert places(sandbox) == [FIRST, SECOND]
    with silent(sandbox):
        eventually("the loss is noticed", lambda: ready_places(sandbox) == [FIRST], NOTICED_WITHIN)
        # Traefik collects changes for 2 s.
        time.sleep(5)
        with pushing(sandbox, tmp_path) as seconds:
            time.sleep(20)
        assert max(seconds) < 10, seconds
        replaced(sandbox)
    whole(sandbox)
