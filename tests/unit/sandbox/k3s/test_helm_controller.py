"""What the stand-in for k3s' helm-controller makes of a HelmChartConfig."""

from __future__ import annotations

import pytest

from components.ingress.upload_timeout import traefik_values
from sandbox.k3s.helm_controller import arguments

GIVEN = ["--entryPoints.web.address=:8000/tcp", "--log.level=INFO"]
TIMEOUT = "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=120s"


def test_the_products_own_values_set_the_read_timeout_of_the_entry_point() -> None:
    assert arguments(GIVEN, traefik_values("websecure", 120)) == [*GIVEN, TIMEOUT]


def test_another_value_takes_the_place_of_the_one_before() -> None:
    before = arguments(GIVEN, traefik_values("websecure", 60))
    assert arguments(before, traefik_values("websecure", 120)) == [*GIVEN, TIMEOUT]


@pytest.mark.parametrize("values", ["", "ports:\n  websecure:\n    expose: {}\n"])
def test_without_the_value_traefik_is_as_it_was(values: str) -> None:
    assert arguments([*GIVEN, TIMEOUT], values) == GIVEN, "a removed config must leave nothing"
