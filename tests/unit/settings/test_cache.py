"""The caches of other registries: what they are called, and what they exclude."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.settings.helpers import GOOD, loaded, problems
from tests.unit.settings.pulumi_config import Secret


def cached(**caches: Any) -> dict[str, Any]:
    return {**GOOD, "cache": {name.replace("_", "-"): x for name, x in caches.items()}}


@pytest.mark.parametrize(
    ("upstream", "host", "url"),
    [
        ("docker.io", "docker.io", "https://registry-1.docker.io"),
        ("ghcr.io", "ghcr.io", "https://ghcr.io"),
        ("quay.io:8443", "quay.io:8443", "https://quay.io:8443"),
        ("http://a.svc:5000", "a.svc:5000", "http://a.svc:5000"),
    ],
)
def test_the_other_registry_is_called_as_its_images_are(upstream: str, host: str, url: str) -> None:
    """Docker Hub's registry has another name than its images."""
    settings, _ = loaded(cached(a={"upstream": upstream}))
    assert (settings.cache["a"].host, settings.cache["a"].url) == (host, url)


@pytest.mark.parametrize(
    ("upstream", "right"),
    [
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("GHCR.io", "ghcr.io"),
        ("registry-1.docker.io", "docker.io"),
        ("hub.docker.com", "docker.io"),
        ("localhost:5000", ""),
        ("169.254.169.254", ""),
        ("registry", ""),
    ],
)
def test_what_starts_no_images_name_is_refused(upstream: str, right: str) -> None:
    (problem,) = problems(cached(a={"upstream": upstream}))
    assert problem.key == "cache.a.upstream"
    assert problem.fix == f"pulumi config set --path cache.a.upstream {right}".rstrip()


def test_a_login_has_both_parts() -> None:
    (problem,) = problems(cached(a={"upstream": "ghcr.io", "username": "me"}))
    assert problem.fix == "pulumi config set --path --secret cache.a.password"
    (problem,) = problems(cached(a={"upstream": "ghcr.io", "password": Secret("x")}))
    assert problem.fix == "pulumi config set --path cache.a.username"
    loaded(cached(a={"upstream": "ghcr.io", "username": "me", "password": Secret("x")}))


def test_the_password_is_a_secret() -> None:
    (problem,) = problems(cached(a={"upstream": "ghcr.io", "username": "me", "password": "x"}))
    assert problem.key == "cache.a.password"
    assert "--secret" in problem.expected


def test_no_two_caches_are_of_one_registry_and_none_is_of_this() -> None:
    """Nodes would pull through one of them, and this one through itself."""
    (problem,) = problems(cached(a={"upstream": "ghcr.io"}, b={"upstream": "ghcr.io"}))
    assert (problem.key, problem.fix) == ("cache.b", "pulumi config rm --path cache.b")
    assert problem.expected == "expected another upstream than cache.a's"
    (problem,) = problems(cached(a={"upstream": GOOD["hostname"]}))
    assert problem.expected == "expected another upstream than hostname's"


def test_a_mirror_of_that_name_and_the_override_of_docker_io_exclude_a_cache() -> None:
    """Who overrides docker.io wants nothing of it that was not pushed."""
    docker = cached(a={"upstream": "docker.io"})
    (problem,) = problems({**docker, "nodes": {"overrideDockerIo": True}})
    assert problem.expected.startswith("expected false with cache.a of docker.io")
    assert problem.fix == "pulumi config set --path nodes.overrideDockerIo false"
    mirror = {"nodes": {"mirrorPrefix": "mirror.example.com"}}
    (problem,) = problems({**cached(a={"upstream": "mirror.example.com"}), **mirror})
    assert problem.fix == "pulumi config rm --path nodes.mirrorPrefix"
    ghcr = cached(a={"upstream": "ghcr.io"})
    loaded({**ghcr, "nodes": {"overrideDockerIo": True, "mirrorPrefix": "example.com"}})


def test_a_cache_needs_the_maintenance_which_alone_keeps_it_small() -> None:
    (problem,) = problems({**cached(a={"upstream": "ghcr.io"}), "maintenance": {"enabled": False}})
    assert problem.fix == "pulumi config set --path maintenance.enabled true"


@pytest.mark.parametrize(
    ("name", "right"), [("Docker", "docker"), ("a/b", "a-b"), ("1", "c1"), ("a" * 33, "a" * 32)]
)
def test_a_name_is_part_of_a_repositorys_and_of_a_services(name: str, right: str) -> None:
    """It is also in a regular expression of the auth proxy."""
    (problem,) = problems({**GOOD, "cache": {name: {"upstream": "ghcr.io"}}})
    assert f"cache.{right}.upstream ghcr.io" in problem.fix
