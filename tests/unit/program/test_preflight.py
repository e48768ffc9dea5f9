"""What is somebody else's is not taken over."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pulumi
import pytest

import preflight
from preflight import check_cluster, conflicts, unfit_namespaces
from settings import Settings
from settings.credentials import find_access
from settings.problems import SettingsError

STACK = "organization/k3s-registry/dev"
SETTINGS = Settings.model_validate({"hostname": "registry.example.com"})
ACCESS = find_access({}, {})


def namespace(name: str, stack: str | None = None) -> dict[str, Any]:
    annotations = {"registry/stack": stack} if stack else {}
    return {"kind": "Namespace", "metadata": {"name": name, "annotations": annotations}}


def ingress(where: str, host: str | None) -> dict[str, Any]:
    return {
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": where},
        "spec": {"rules": [{"host": host} if host else {}]},
    }


def test_an_empty_cluster_is_in_nobodys_way() -> None:
    assert not conflicts(SETTINGS, STACK, [namespace("default"), namespace("kube-system")])


def test_what_this_stack_made_is_in_nobodys_way() -> None:
    mine = [namespace("registry", STACK), ingress("registry", "registry.example.com")]
    assert not conflicts(SETTINGS, STACK, mine)


def test_a_namespace_that_was_there_before_is_refused() -> None:
    (problem,) = conflicts(SETTINGS, STACK, [namespace("registry")])
    assert problem.key == "namespace"
    assert "this stack did not make it" in problem.expected, "destroy would delete it"
    assert "pulumi config set namespace registry-2" in problem.fix
    assert f"annotate --overwrite namespace registry registry/stack={STACK}" in problem.fix


def test_a_namespace_of_another_stack_is_refused_with_its_name() -> None:
    (problem,) = conflicts(SETTINGS, STACK, [namespace("registry", "organization/x/prod")])
    assert "it belongs to the stack organization/x/prod" in problem.expected


def test_a_host_that_another_ingress_serves_is_refused_with_its_name() -> None:
    others = [ingress("shop", None), ingress("shop", "a.b"), ingress("shop", SETTINGS.hostname)]
    (problem,) = conflicts(SETTINGS, STACK, others)
    assert (problem.key, problem.value) == ("hostname", '"registry.example.com"')
    assert "shop/web" in problem.expected


@pytest.mark.parametrize(
    ("annotations", "count"), [({}, 1), ({"cert-manager.io/issuer-name": "x"}, 0)]
)
def test_a_certificate_that_cert_manager_did_not_make_is_not_overwritten(
    annotations: dict[str, str], count: int
) -> None:
    metadata = {"name": "registry-tls", "namespace": "registry", "annotations": annotations}
    problems = conflicts(SETTINGS, STACK, [{"kind": "Secret", "metadata": metadata}])
    assert len(problems) == count


def pulling(**chosen: object) -> Settings:
    return Settings.model_validate(
        {"hostname": "registry.example.com", "pullSecrets": {"namespaces": ["team"], **chosen}}
    )


def account(*pull_secrets: str) -> dict[str, Any]:
    return {
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": "team"},
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
    }


def test_a_namespace_for_a_pull_secret_must_exist() -> None:
    (problem,) = unfit_namespaces(pulling(), [namespace("other")])
    assert (problem.key, problem.value) == ("pullSecrets.namespaces", '"team"')
    assert problem.fix == "kubectl create namespace team"
    assert not unfit_namespaces(pulling(), [namespace("team")])


def test_pull_secrets_of_others_are_not_dropped_from_a_service_account() -> None:
    found = [namespace("team"), account("registry-pull", "theirs")]
    (problem,) = unfit_namespaces(pulling(defaultServiceAccount=True), found)
    assert "team has pull Secrets already: theirs" in problem.expected
    assert "pulumi config set --path pullSecrets.defaultServiceAccount false" in problem.fix
    assert "kubectl --namespace team patch serviceaccount default --type=json" in problem.fix
    assert not unfit_namespaces(pulling(), found), "unless asked to, we do not touch it"


@pytest.mark.parametrize("pull_secrets", [[], ["registry-pull"]])
def test_a_service_account_with_our_pull_secret_or_none_is_fit(pull_secrets: list[str]) -> None:
    found = [namespace("team"), account(*pull_secrets)]
    assert not unfit_namespaces(pulling(defaultServiceAccount=True), found)


def test_the_enrolments_namespace_is_not_taken_over_either() -> None:
    enrolled = Settings.model_validate(
        {"hostname": "registry.example.com", "nodes": {"configure": True}}
    )
    (problem,) = conflicts(enrolled, STACK, [namespace("registry-nodes")])
    assert "pulumi config set namespace registry-2" in problem.fix
    assert not conflicts(SETTINGS, STACK, [namespace("registry-nodes")])


def test_all_that_is_in_the_way_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [namespace("registry"), ingress("shop", SETTINGS.hostname)]
    monkeypatch.setattr(preflight, "look", lambda *_: found)
    with pytest.raises(SettingsError, match="2 problems"):
        check_cluster(SETTINGS, ACCESS, STACK)


def test_a_cluster_that_cannot_be_asked_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise subprocess.CalledProcessError(1, "kubectl", stderr="connection refused\n")

    warned: list[str] = []
    monkeypatch.setattr(preflight, "look", fail)
    monkeypatch.setattr(pulumi.log, "warn", warned.append)
    check_cluster(SETTINGS, ACCESS, STACK)
    assert warned == ["the cluster was not searched for conflicts: connection refused"]


KUBECTL = """#!/bin/sh
echo "$@" >> {log}
case "$*" in *--kubeconfig=/dev/stdin*) cat >> {log};; esac
case "$*" in
*secret*) echo '{{"name": "registry-tls"}}';;
*) echo '{{"items": []}}';;
esac
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that answers an empty cluster, and logs what it was asked."""
    program, log = tmp_path / "kubectl", tmp_path / "log"
    program.write_text(KUBECTL.format(log=log))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return log


def test_the_configured_cluster_is_asked_and_its_kubeconfig_is_in_no_argument(
    kubectl: Path,
) -> None:
    config = {"kubernetes:kubeconfig": "secret: 1\n", "kubernetes:context": "prod"}
    assert preflight.look(SETTINGS, find_access(config, {})) == []
    asked, given = kubectl.read_text().splitlines()
    assert asked.endswith("--context=prod --kubeconfig=/dev/stdin")
    assert given == "secret: 1"


def test_a_kubeconfig_may_be_a_path(kubectl: Path) -> None:
    preflight.look(SETTINGS, find_access({"kubernetes:kubeconfig": "/etc/k3s.yaml"}, {}))
    assert kubectl.read_text().rstrip().endswith("--kubeconfig=/etc/k3s.yaml")


def test_of_a_certificate_only_the_metadata_is_asked_for(kubectl: Path) -> None:
    tls = {"mode": "certManager", "issuer": "x"}
    settings = Settings.model_validate({"hostname": "a.b", "tls": tls})
    assert preflight.look(settings, ACCESS) == [
        {"kind": "Secret", "metadata": json.loads('{"name": "registry-tls"}')}
    ]
    assert "jsonpath={.metadata}" in kubectl.read_text()
