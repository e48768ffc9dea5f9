"""What nobody has asked for is off, and what runs is one exact version."""

from __future__ import annotations

import re

import pytest

from tests.unit.settings.helpers import GOOD, loaded


@pytest.mark.parametrize(
    ("section", "key", "why"),
    [
        ("monitoring", "enabled", "the cluster may have no operator of Prometheus"),
        ("nodes", "configure", "nodes are not this program's"),
        ("nodes", "override_docker_io", "other pods pull from Docker Hub"),
        ("pull_secrets", "default_service_account", "every pod of the namespace would pull"),
        ("ingress", "host_network", "the router of k3s has a Service"),
        ("registry", "read_only", "somebody wants to push"),
    ],
)
def test_what_reaches_beyond_the_registry_is_off(section: str, key: str, why: str) -> None:
    settings, _ = loaded(GOOD)
    assert getattr(getattr(settings, section), key) is False, why


def test_the_router_of_k3s_passes_tls_through_by_default_and_another_one_never() -> None:
    assert loaded(GOOD)[0].ingress.tcp_route
    other = {"controller": "gateway", "gateway": "a/b/https", "controllerNamespace": "a"}
    for ingress, tls, expected in (
        ({}, "secret", True),
        ({"tcpRoute": False}, "secret", False),
        (other, "none", False),
    ):
        settings, _ = loaded({**GOOD, "ingress": ingress, "tls": {"mode": tls}})
        assert settings.ingress.by_tcp_route == expected


def test_the_first_password_is_the_first_one() -> None:
    """A default that changes would change the passwords of all who have set none."""
    assert loaded(GOOD)[0].rotation == 1


def test_each_image_has_a_registry_and_a_whole_version() -> None:
    settings, _ = loaded(GOOD)
    images = (settings.registry.image, settings.registry.proxy_image, settings.scripts.image)
    for image, name in zip(images, ("registry", "caddy", "python"), strict=True):
        assert re.fullmatch(rf"docker\.io/library/{name}:\d+\.\d+\.\d+(-alpine)?", image)
