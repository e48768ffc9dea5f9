"""Each check of preflight gets what it is about, and all that they say is shown."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from unittest import mock

import pulumi
import pytest

import preflight
from preflight import check
from preflight.cluster import Cluster
from preflight.routers import Served
from settings import Settings
from settings.credentials import CloudAccess
from settings.problems import Problem, SettingsError
from tests.unit.program.conftest import ROOT
from tests.unit.program.test_preflight import (
    Kubectl,
    access,
    checked,
    in_preview,
    kubectl,
    warnings,
)

__all__ = ["kubectl", "warnings"]

PULLS = """case "$*" in
"get --raw=/api/v1/namespaces/kube-system") echo '{"metadata": {"uid": "1234"}}';;
"get --raw=/api/v1/namespaces") echo '{"items": [{"metadata": {"name": "team"}}]}';;
"get --raw=/api/v1/serviceaccounts") echo '{"items": [{
    "metadata": {"name": "default", "namespace": "team"}, "imagePullSecrets": [{"name": "theirs"}]
    }]}';;
*) echo '{"items": []}';;
esac"""


def test_namespaces_and_service_accounts_for_pull_secrets_are_checked(kubectl: Kubectl) -> None:
    kubectl.does(PULLS)
    with pytest.raises(SettingsError) as error:
        checked(pullSecrets={"namespaces": ["team", "other"], "defaultServiceAccount": True})
    assert [(problem.key, problem.value) for problem in error.value.problems] == [
        ("pullSecrets.namespaces", '"other"'),
        ("pullSecrets.defaultServiceAccount", "true"),
    ]


def test_the_certificate_that_is_checked_is_the_registrys(kubectl: Kubectl) -> None:
    with pytest.raises(SettingsError, match="the Secret registry/registry-tls exists"):
        checked(tls={"mode": "certManager", "issuer": "x"})
    assert "Secret.v1. registry-tls --namespace=registry" in kubectl.calls


def test_a_preview_says_all_that_would_stop_an_update(
    kubectl: Kubectl, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_preview(monkeypatch)
    kubectl.does("""case "$*" in
        */kube-system) echo 'no identity' >&2; exit 1;;
        */ingresses) echo 'no Ingresses' >&2; exit 1;;
        *) echo '{"items": []}';;
    esac""")
    checked()
    expected = "expected a cluster that can be asked: "
    assert warnings == [
        "`pulumi up` would be refused, and not all conflicts are shown: "
        f"{expected}no Ingresses; {expected}no identity"
    ]


@pytest.mark.usefixtures("kubectl")
def test_the_token_that_is_checked_is_the_configured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reached = access()
    tokens: list[CloudAccess] = []
    monkeypatch.setattr(preflight, "check_token", tokens.append)
    check(Settings.model_validate({"hostname": "a.b"}), reached, Cluster.of(reached), "a/b/c")
    assert tokens == [reached]


@pytest.mark.usefixtures("kubectl")
def test_the_zone_that_is_checked_is_the_configured_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(reached: CloudAccess, zone: str) -> list[Problem]:
        return [Problem("dns.zone", zone, f"{type(reached).__name__} {zone}", "another")]

    monkeypatch.setattr(preflight, "check_zone", refuse)
    with pytest.raises(SettingsError, match=r"Access example\.com"):
        checked(dns={"zone": "example.com"})


def test_identity_record_and_guard_are_of_what_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached = access()
    settings, cluster = Settings.model_validate({"hostname": "a.b"}), Cluster.of(reached)
    own = [Served("shop", Problem("hostname", "", "", ""))]
    calls: dict[str, tuple[Any, ...]] = {}

    def stub(name: str, result: object) -> None:
        def call(*args: object) -> object:
            calls[name] = args
            return result

        monkeypatch.setattr(preflight, name, call)

    stub("check", ("1234", own))
    stub("cluster_identifier", "an identifier")
    stub("record", "a record")
    monkeypatch.setattr(pulumi.Output, "all", both := mock.Mock())
    stub("refuse_existing", guarded := mock.Mock())
    assert preflight.run(settings, reached, cluster, "a/b/c")[1] is guarded
    both.assert_called_once_with("an identifier", "a record")
    assert calls == {
        "check": (settings, reached, cluster, "a/b/c"),
        "cluster_identifier": ("1234",),
        "record": (settings, reached, cluster, own),
        "refuse_existing": (settings, cluster, "a/b/c"),
    }


def test_the_cluster_answers_while_the_sdk_of_kubernetes_is_imported() -> None:
    assert after_import("sys", "'pulumi_kubernetes.core.v1' in sys.modules") == "False\n"


def test_no_garbage_is_collected_among_the_objects_of_the_sdks() -> None:
    assert after_import("gc", "gc.isenabled()") == "False\n"


def after_import(module: str, expression: str) -> str:
    """Return what an expression is in a program that has imported preflight."""
    command = [sys.executable, "-c", f"import {module}, preflight; print({expression})"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
