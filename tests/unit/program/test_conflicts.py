"""What in the cluster is in the way of a registry, from what the cluster has."""

from __future__ import annotations

from typing import Any

import pytest

from preflight import conflicts
from settings import Settings
from settings.tls import TlsCertManager

HOSTNAME = "registry.example.com"
SETTINGS = Settings.model_validate({"hostname": HOSTNAME})


def ingress(namespace: str, host: str | None) -> dict[str, Any]:
    rules = [{"host": host} if host else {}]
    return {"metadata": {"name": "web", "namespace": namespace}, "spec": {"rules": rules}}


def route(match: str, kind: str = "IngressRoute", namespace: str = "shop") -> dict[str, Any]:
    metadata = {"name": "web", "namespace": namespace}
    return {"kind": kind, "metadata": metadata, "spec": {"routes": [{"match": match}]}}


def test_a_host_that_another_ingress_serves_is_refused_with_its_name() -> None:
    others = [ingress("shop", None), ingress("shop", "a.b"), ingress("shop", HOSTNAME)]
    (served,) = conflicts.ingresses(SETTINGS, others)
    assert served.namespace == "shop"
    problem = served.problem
    assert (problem.key, problem.value) == ("hostname", f'"{HOSTNAME}"')
    assert "the Ingress shop/web serves this hostname already" in problem.expected


def test_an_ingress_for_all_hosts_has_no_rules_and_is_in_nobodys_way() -> None:
    assert not conflicts.ingresses(SETTINGS, [{**ingress("shop", None), "spec": {}}])


def test_what_is_in_the_registrys_namespace_is_its_own() -> None:
    assert not conflicts.ingresses(SETTINGS, [ingress("registry", HOSTNAME)])
    assert not conflicts.routes(SETTINGS, [route(f"Host(`{HOSTNAME}`)", namespace="registry")])


@pytest.mark.parametrize(
    "match",
    [
        f"Host(`{HOSTNAME}`)",
        f"Host(`a.b`) || (Host(`c.d`, `{HOSTNAME}`) && PathPrefix(`/v2`))",
        f'Host("{HOSTNAME.upper()}")',
        f"HostSNI(`{HOSTNAME}`)",
    ],
)
def test_a_host_that_another_route_leads_elsewhere_is_refused(match: str) -> None:
    (served,) = conflicts.routes(SETTINGS, [route(match, "IngressRouteTCP")])
    assert "the IngressRouteTCP shop/web serves" in served.problem.expected


@pytest.mark.parametrize(
    "match",
    [f"Host(`x.{HOSTNAME}`)", f"PathPrefix(`{HOSTNAME}`)", f"HostHeader(`{HOSTNAME}`)", ""],
)
def test_other_routes_are_in_nobodys_way(match: str) -> None:
    assert not conflicts.routes(SETTINGS, [route(match)])


@pytest.mark.parametrize(
    ("annotations", "count"),
    [
        ({}, 1),
        # Each `kubectl apply` writes one.
        ({"kubectl.kubernetes.io/last-applied-configuration": "{}"}, 1),
        ({"cert-manager.io/issuer-name": "x"}, 0),
    ],
)
def test_a_certificate_that_cert_manager_did_not_get_is_not_overwritten(
    annotations: dict[str, str], count: int
) -> None:
    tls = TlsCertManager(issuer="x")
    metadata = {"name": "registry-tls", "namespace": "registry", "annotations": annotations}
    assert len(conflicts.certificate(tls, metadata)) == count
    assert not conflicts.certificate(tls, None)


def pulling(**settings: object) -> Settings:
    return Settings.model_validate(
        {"hostname": HOSTNAME, "pullSecrets": {"namespaces": ["team"], **settings}}
    )


def namespace(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def account(*pull_secrets: str, name: str = "default") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "team"},
        "imagePullSecrets": [{"name": secret} for secret in pull_secrets],
    }


def test_a_namespace_for_a_pull_secret_must_exist() -> None:
    (problem,) = conflicts.missing_namespaces(pulling(), [namespace("other")])
    assert (problem.key, problem.value) == ("pullSecrets.namespaces", '"team"')
    assert problem.fix == "kubectl create namespace team"
    assert not conflicts.missing_namespaces(pulling(), [namespace("team")])


def test_pull_secrets_of_others_are_not_dropped_from_a_service_account() -> None:
    items = [account("registry-pull", "theirs"), account("x", name="builder")]
    (problem,) = conflicts.service_accounts(pulling(defaultServiceAccount=True), items)
    assert "team has pull Secrets already: theirs" in problem.expected
    assert "pulumi config set --path pullSecrets.defaultServiceAccount false" in problem.fix
    assert "kubectl --namespace team patch serviceaccount default --type=json" in problem.fix


@pytest.mark.parametrize("pull_secrets", [[], ["registry-pull"]])
def test_a_service_account_with_our_pull_secret_or_none_is_fit(pull_secrets: list[str]) -> None:
    settings = pulling(defaultServiceAccount=True)
    assert not conflicts.service_accounts(settings, [account(*pull_secrets)])
    assert not conflicts.service_accounts(settings, [])
