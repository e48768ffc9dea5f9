"""What in the cluster is in the way of a registry, from what the cluster has."""

from __future__ import annotations

from typing import Any

import pytest

from preflight import conflicts
from settings import Settings
from settings.tls import TlsCertManager

HOSTNAME = "registry.example.com"


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
