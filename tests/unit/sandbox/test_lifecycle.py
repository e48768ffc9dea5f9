"""A sandbox does not start where it would cut off the machine's own network."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from sandbox import lifecycle
from sandbox.layout import Layout, Route, SandboxError


def test_a_subnet_that_another_route_overlaps_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(ipaddress.IPv4Network("10.0.0.0/8"), "vpn")
    monkeypatch.setattr(lifecycle, "is_up", lambda _: False)
    monkeypatch.setattr(lifecycle, "down", lambda _: None)
    monkeypatch.setattr(lifecycle, "machine_routes", lambda: [route])
    with pytest.raises(SandboxError, match=r"overlaps 10\.0\.0\.0/8 on vpn: .*`make wipe`"):
        lifecycle.up(Layout(tmp_path, "sandbox", 7), [])
    assert not any(tmp_path.iterdir())
