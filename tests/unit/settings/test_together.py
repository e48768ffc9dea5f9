"""Values that are good by themselves, but not together."""

from __future__ import annotations

from typing import Any

import pytest

from settings.problems import Problem
from tests.unit.settings.helpers import GOOD, S3, loaded, problems


def test_pull_user_and_admin_have_different_names() -> None:
    (problem,) = problems({**GOOD, "adminUser": "ci", "pullUser": "CI"})
    assert (problem.key, problem.value) == ("pullUser", '"CI"')
    assert problem.expected == "expected another name than adminUser's"
    assert problem.fix == "pulumi config set pullUser ci-pull"


def test_the_pull_users_name_stays_short_enough() -> None:
    (problem,) = problems({**GOOD, "adminUser": "a" * 64, "pullUser": "a" * 64})
    name = problem.fix.removeprefix("pulumi config set pullUser ")
    assert loaded({**GOOD, "adminUser": "a" * 64, "pullUser": name})[0].pull_user == name


@pytest.mark.parametrize("key", ["adminUser", "pullUser"])
def test_no_user_has_the_name_of_the_smoke_tests_own(key: str) -> None:
    (problem,) = problems({**GOOD, key: "Smoke_Test"})
    assert (problem.key, problem.value) == (key, '"Smoke_Test"')
    assert problem.expected == "expected another name than that of the smoke test's own user"
    assert problem.fix == f"pulumi config set {key}"
    loaded({**GOOD, key: "smoke-test"})


@pytest.mark.parametrize(("uploads", "mebibytes"), [(3, 203), (8, 328), (16, 528), (32, 928)])
def test_the_memory_limit_has_room_for_the_parallel_uploads(uploads: int, mebibytes: int) -> None:
    settings, _ = loaded({**GOOD, "registry": {"parallelUploads": uploads}})
    assert settings.registry.memory_limit_mib == mebibytes


def test_each_user_who_may_push_has_a_place_of_its_own() -> None:
    users = {f"user{number}": {"push": ["a"]} for number in range(14)} | {"other": {"pull": ["a"]}}
    (problem,) = problems({**GOOD, "users": users})
    assert (problem.key, problem.value) == ("registry.parallelUploads", "(not set)")
    assert problem.expected.startswith("expected more than 16: 16 users may push")
    assert problem.fix == "pulumi config set --path registry.parallelUploads 17"
    loaded({**GOOD, "users": users, "registry": {"parallelUploads": 17}})


@pytest.mark.parametrize("memory", ["529Mi", "540673Ki", "1Gi", "1Ti"])
def test_no_more_memory_is_reserved_than_a_pod_may_take(memory: str) -> None:
    (problem,) = problems({**GOOD, "registry": {"resources": {"memory": memory}}})
    assert (problem.key, problem.value) == ("registry.resources.memory", f'"{memory}"')
    assert problem.expected == "expected at most 528Mi, the memory limit for 16 parallelUploads"
    assert problem.fix == "pulumi config set --path registry.resources.memory 528Mi"


@pytest.mark.parametrize(
    ("section", "beside", "key", "whose"),
    [
        ("ingress", {}, "controllerNamespace", "the ingress controller"),
        ("monitoring", {"enabled": True}, "namespace", "Prometheus"),
    ],
)
@pytest.mark.parametrize("created", ["images", "images-nodes"])
def test_nothing_else_is_in_the_namespaces_that_this_program_creates(
    section: str, beside: dict[str, Any], key: str, whose: str, created: str
) -> None:
    """Their network policies would cut it off."""
    (problem,) = problems({**GOOD, "namespace": "images", section: {**beside, key: created}})
    assert (problem.key, problem.fix) == ("namespace", "pulumi config set namespace")
    assert problem.expected == (
        f"expected another namespace than that of {whose}, since this program creates it"
    )


def test_where_nothing_is_monitored_the_namespace_may_have_any_name() -> None:
    loaded({**GOOD, "namespace": "monitoring"})


def test_the_name_of_the_nodes_namespace_is_a_namespace_too() -> None:
    settings, _ = loaded({**GOOD, "namespace": "a" * 57})
    assert settings.nodes_namespace == "a" * 57 + "-nodes"
    assert len(settings.nodes_namespace) == 63


@pytest.mark.parametrize("prefix", ["docker.io", "index.docker.io", "registry-1.docker.io"])
def test_docker_io_is_no_mirror_prefix_since_it_is_overridden_knowingly(prefix: str) -> None:
    (problem,) = problems({**GOOD, "nodes": {"mirrorPrefix": prefix}})
    assert problem.key == "nodes.mirrorPrefix"
    assert "nodes.overrideDockerIo" in problem.expected
    assert problem.fix == (
        "pulumi config rm --path nodes.mirrorPrefix && "
        "pulumi config set --path nodes.overrideDockerIo true"
    )


def test_the_hostname_is_no_mirror_prefix() -> None:
    (problem,) = problems({**GOOD, "nodes": {"mirrorPrefix": GOOD["hostname"]}})
    assert problem.key == "nodes.mirrorPrefix"
    assert problem.expected.startswith("expected another name than hostname")
    assert problem.fix == "pulumi config rm --path nodes.mirrorPrefix"


@pytest.mark.parametrize("namespace", ["registry", "registry-nodes"])
def test_pull_secrets_go_to_other_namespaces(namespace: str) -> None:
    (problem,) = problems({**GOOD, "pullSecrets": {"namespaces": ["a", namespace]}})
    assert problem.key == "pullSecrets.namespaces"
    assert problem.expected == "expected no namespace that this program creates"
    assert problem.fix.endswith("pulumi config set --path 'pullSecrets.namespaces[0]' a")


def test_pull_secrets_may_go_to_a_namespace_called_like_the_default() -> None:
    loaded({**GOOD, "namespace": "images", "pullSecrets": {"namespaces": ["registry"]}})


GATEWAY = {"controller": "gateway", "gateway": "a/b/https", "controllerNamespace": "a"}


@pytest.mark.parametrize("mode", [{}, {"mode": "acme"}, {"mode": "letsEncrypt", "email": "a@b.c"}])
def test_a_certificate_that_a_gateway_would_not_heed_is_refused(mode: dict[str, str]) -> None:
    (problem,) = problems({**GOOD, "ingress": GATEWAY, "tls": mode})
    assert problem.key == "tls.mode"
    assert problem.expected.startswith("expected none with ingress.controller gateway")
    assert problem.fix == "pulumi config set --path tls.mode none"
    accepted, _ = loaded({**GOOD, "ingress": GATEWAY, "tls": {"mode": "none"}})
    assert accepted.ingress.gateway == "a/b/https"


def test_a_gateway_and_its_namespace_are_asked_for() -> None:
    (problem,) = problems({**GOOD, "ingress": {"controller": "gateway"}, "tls": {"mode": "none"}})
    assert (problem.key, problem.value) == ("ingress.controller", '"gateway"')
    assert problem.expected == (
        "expected controllerNamespace and gateway, too: there are no defaults for Gateways"
    )
    assert problem.fix == (
        "pulumi config set --path ingress.controllerNamespace && "
        "pulumi config set --path ingress.gateway"
    )
    half = {"controller": "gateway", "gateway": "a/b/c"}
    (problem,) = problems({**GOOD, "ingress": half, "tls": {"mode": "none"}})
    assert problem.fix == "pulumi config set --path ingress.controllerNamespace"


@pytest.mark.parametrize("gateway", ["b/https", "a/b", "a/b/c/d", "A/b/https", "a//https"])
def test_a_gateway_is_named_with_its_namespace_and_its_listener(gateway: str) -> None:
    """The listener of port 80 would take passwords in plaintext, so one is chosen."""
    ingress = {**GATEWAY, "gateway": gateway}
    (problem,) = problems({**GOOD, "ingress": ingress, "tls": {"mode": "none"}})
    assert problem.key == "ingress.gateway"
    assert "such as gateways/public/https" in problem.expected


def test_a_certificate_resolver_is_a_name() -> None:
    (problem,) = problems({**GOOD, "tls": {"mode": "acme", "resolver": "'XaX'"}})
    assert problem == Problem(
        "tls.resolver",
        "\"'XaX'\"",
        "expected a name of letters, digits, hyphens and underscores",
        "pulumi config set --path tls.resolver XaX",
    )


def test_a_bad_ingress_hides_no_problem_of_tls() -> None:
    refused = problems({**GOOD, "ingress": {"className": "A_B"}, "tls": {"secretName": "A_B"}})
    assert [problem.key for problem in refused] == ["ingress.className", "tls.secretName"]
    (problem,) = problems({**GOOD, "ingress": {"className": "A_B"}, "tls": {"mode": "acme"}})
    assert problem.key == "ingress.className"


@pytest.mark.parametrize(
    "endpoint",
    ["http://minio:9000", "http://minio.minio.svc:9000", "http://minio.minio.svc.cluster.local"],
)
def test_clients_are_not_redirected_to_hostnames_of_the_cluster(endpoint: str) -> None:
    values = {**GOOD, "storage": S3 | {"endpoint": endpoint}}
    loaded(values)
    (problem,) = problems({**values, "registry": {"redirect": True}})
    assert (problem.key, problem.value) == ("registry.redirect", "true")
    assert problem.expected == (
        "expected false: nodes and other clients do not know the cluster's own hostnames, such as "
        "that of storage.endpoint"
    )
    assert problem.fix == "pulumi config set --path registry.redirect false"


@pytest.mark.parametrize("storage", [{}, S3, S3 | {"endpoint": "http://10.0.0.1:9000"}])
def test_clients_may_be_redirected_to_what_they_may_reach(storage: dict[str, Any]) -> None:
    assert loaded({**GOOD, "storage": storage, "registry": {"redirect": True}})


def test_a_bad_storage_hides_no_problem_of_the_registry() -> None:
    values = {"storage": S3 | {"bucket": "A_B"}, "registry": {"redirect": True, "replicas": 0}}
    refused = problems(GOOD | values)
    assert [problem.key for problem in refused] == ["storage.bucket", "registry.replicas"]
    (problem,) = problems(GOOD | values | {"registry": {"redirect": True}})
    assert problem.key == "storage.bucket"


@pytest.mark.parametrize("zone", ["example.org", "stry.example.com", "a.registry.example.com"])
def test_a_zone_holds_the_hostname(zone: str) -> None:
    (problem,) = problems({**GOOD, "dns": {"zone": zone}})
    assert problem.expected == "expected a domain that registry.example.com is in"
    assert problem.fix == "pulumi config set --path dns.zone example.com"


def test_an_address_says_that_the_mode_is_meant() -> None:
    (problem,) = problems({**GOOD, "tls": {"email": "you@example.com"}})
    assert problem.fix == "pulumi config set --path tls.mode letsEncrypt"


def test_dns_records_need_a_token_even_without_a_space() -> None:
    refused = problems({**GOOD, "storage": S3, "dns": {"zone": "example.com"}}, environment={})
    assert [problem.key for problem in refused] == ["digitalocean:token"]


@pytest.mark.parametrize(
    ("hostname", "domain"),
    [
        ("registry.example.com", "example.com"),
        ("a.registry.example.com", "registry.example.com"),
        # Nobody has the domain com, and a fix that names it helps nobody.
        ("example.com", "example.com"),
    ],
)
def test_the_fix_of_a_zone_is_a_domain_that_somebody_can_have(hostname: str, domain: str) -> None:
    config = {**GOOD, "hostname": hostname, "dns": {"zone": "example.org"}}
    (problem,) = problems(config)
    assert problem.fix == f"pulumi config set --path dns.zone {domain}"
