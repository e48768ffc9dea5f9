"""Cluster and cloud are checked before anything is created, and each check stands alone."""

from __future__ import annotations

import shlex
from pathlib import Path

import pulumi
import pytest

import preflight
from preflight import check
from preflight import cluster as cluster_module
from preflight.addresses import services
from preflight.cluster import INGRESSES, Cluster
from preflight.errors import NotReadyError
from preflight.routers import Served
from settings import Settings
from settings.credentials import CloudAccess, find_access
from settings.problems import Problem, SettingsError

S3 = {
    "kind": "s3",
    "endpoint": "https://s3.example.com",
    "bucket": "images",
    "accessKey": "x",
    "secretKey": "x",
}

KUBECTL = """#!/bin/sh
case "$1" in proxy) exit 1;; esac
echo "$@" >> {log}
case "$*" in *--kubeconfig=/dev/stdin*) cat >> {log};; esac
{body}
"""

HEALTHY = """case "$*" in
*/pods*) echo '{"items": []}';;
*/namespaces/kube-system*) echo '{"metadata": {"uid": "1234"}}';;
*/ingressroutes*) echo 'Error from server (NotFound): no such resource' >&2; exit 1;;
*/ingresses*) echo '{"items": [{"metadata": {"name": "web", "namespace": "shop"},
    "spec": {"rules": [{"host": "taken.example.com"}]}}]}';;
*Secret.v1.*) echo '{"name": "registry-tls", "namespace": "registry"}';;
*) echo '{"items": []}';;
esac"""


class Kubectl:
    """A kubectl on PATH that does what a test says."""

    def __init__(self, folder: Path) -> None:
        self._program, self._log = folder / "kubectl", folder / "log"

    def does(self, body: str) -> None:
        self._program.write_text(KUBECTL.format(log=self._log, body=body))
        self._program.chmod(0o755)

    @property
    def called(self) -> bool:
        return self._log.exists()

    @property
    def calls(self) -> str:
        return self._log.read_text()


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    kubectl = Kubectl(tmp_path)
    kubectl.does(HEALTHY)
    return kubectl


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    return warnings


def in_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)


def access(**kubernetes: str) -> CloudAccess:
    config = {f"kubernetes:{key}": value for key, value in kubernetes.items()}
    access, problems = find_access(config, {})
    assert not problems
    return access


def checked(
    hostname: str = "registry.example.com", stack: str = "a/b/c", **settings: object
) -> tuple[str | None, list[Served]]:
    values = {"hostname": hostname, "storage": S3, **settings}
    reached = access()
    return check(Settings.model_validate(values), reached, Cluster.of(reached), stack)


@pytest.mark.usefixtures("kubectl")
def test_the_clusters_identity_is_the_uid_of_its_kube_system() -> None:
    assert checked() == ("1234", [])


OF_A_STACK = """case "$*" in
*Namespace.v1.*) echo '{"annotations": {"registry/stack": "a/b/c"}}';;"""


def test_what_a_stack_of_this_name_serves_is_left_to_the_state(kubectl: Kubectl) -> None:
    kubectl.does(f"{OF_A_STACK}\n{HEALTHY.partition(chr(10))[2]}")
    _, served = checked("taken.example.com")
    assert [item.namespace for item in served] == ["shop"]
    with pytest.raises(SettingsError, match="the Ingress shop/web serves this hostname"):
        checked("taken.example.com", stack="a/b/another")


@pytest.mark.usefixtures("kubectl")
def test_a_kind_that_the_cluster_does_not_know_hides_no_other_check() -> None:
    with pytest.raises(SettingsError, match="the Ingress shop/web serves this hostname"):
        checked("taken.example.com")


@pytest.mark.usefixtures("kubectl")
def test_all_that_is_in_the_way_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="3 problems"):
        checked(
            "taken.example.com",
            pullSecrets={"namespaces": ["team"]},
            tls={"mode": "certManager", "issuer": "x"},
        )


FORBIDDEN = 'Error from server (Forbidden): User "x" cannot list resource "ingresses"'


def test_a_check_that_cannot_be_made_hides_no_other_and_stops_up(kubectl: Kubectl) -> None:
    kubectl.does(f"case $* in */ingresses*) echo '{FORBIDDEN}' >&2; exit 1;; esac\n{HEALTHY}")
    with pytest.raises(SettingsError, match="2 problems") as error:
        checked(pullSecrets={"namespaces": ["team"]})
    missing, forbidden = error.value.problems
    assert missing.key == "pullSecrets.namespaces"
    assert FORBIDDEN in forbidden.expected
    assert "kubectl get namespaces,ingresses --all-namespaces" in forbidden.fix


def test_a_check_that_cannot_be_made_is_a_warning_in_a_preview(
    kubectl: Kubectl, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_preview(monkeypatch)
    kubectl.does(f"case $* in */ingresses*) echo '{FORBIDDEN}' >&2; exit 1;; esac\n{HEALTHY}")
    with pytest.raises(SettingsError, match="1 problem "):
        checked(pullSecrets={"namespaces": ["team"]})
    assert FORBIDDEN in warnings[0]


REFUSED = "The connection to the server 127.0.0.1:1 was refused"


def test_a_preview_without_a_cluster_says_so_in_one_line(
    kubectl: Kubectl, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_preview(monkeypatch)
    noise = "E1125 01:02:03.004005 6 memcache.go:265] couldn't get current server API group list"
    kubectl.does(f"echo {shlex.quote(f'{noise}{chr(10)}{REFUSED}')} >&2; exit 1")
    assert checked() == (None, [])
    (warning,) = warnings
    assert warning.endswith(f"expected a cluster that can be asked: {REFUSED}")


def test_without_kubectl_there_is_no_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(SettingsError, match="1 problem ") as error:
        checked()
    assert "kubernetes.io/docs/tasks/tools" in error.value.problems[0].fix


def test_a_cluster_that_does_not_respond_is_not_waited_for(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "TIMEOUT_SECONDS", 0.1)
    kubectl.does("exec sleep 60")
    with pytest.raises(SettingsError, match=r"no response within 0\.1 s"):
        checked()


CREDENTIAL = "hunter2hunter2"
KUBECONFIG = f'{{"users": [{{"name": "me", "user": {{"token": "{CREDENTIAL}"}}}}]}}'


def test_the_configured_cluster_is_asked_and_its_kubeconfig_is_in_no_argument(
    kubectl: Kubectl,
) -> None:
    Cluster.of(access(kubeconfig=KUBECONFIG, context="prod", cluster="eu")).uid()
    arguments, stdin = kubectl.calls.splitlines()
    assert arguments.endswith("--context=prod --cluster=eu --kubeconfig=/dev/stdin")
    assert stdin == KUBECONFIG


def test_without_a_configured_kubeconfig_kubectl_finds_the_current_one(kubectl: Kubectl) -> None:
    Cluster.of(access()).uid()
    assert "--kubeconfig" not in kubectl.calls


def test_no_credential_of_a_kubeconfig_is_in_an_error_or_a_representation(
    kubectl: Kubectl,
) -> None:
    kubectl.does(f"echo 'error: no such file: {KUBECONFIG}' >&2; exit 1")
    cluster = Cluster.of(access(kubeconfig=KUBECONFIG))
    with pytest.raises(NotReadyError) as error:
        cluster.uid()
    assert "no such file" in error.value.problem.expected
    assert CREDENTIAL not in f"{error.value} {error.value.problem} {cluster}"


def test_of_an_object_only_the_metadata_is_read(kubectl: Kubectl) -> None:
    cluster = Cluster.of(access())
    assert cluster.metadata("Secret", "v1", "registry-tls", "registry") == {
        "name": "registry-tls",
        "namespace": "registry",
    }
    cluster.metadata("Route", "traefik.io/v1alpha1", "x", "y")
    assert "Secret.v1. registry-tls --namespace=registry" in kubectl.calls
    assert "jsonpath={.metadata}" in kubectl.calls
    assert "Route.v1alpha1.traefik.io x --namespace=y" in kubectl.calls


def test_an_object_that_does_not_exist_has_no_metadata(kubectl: Kubectl) -> None:
    kubectl.does("exit 0")
    assert Cluster.of(access()).metadata("Secret", "v1", "x", "y") is None


@pytest.mark.usefixtures("kubectl")
def test_a_token_that_is_not_ready_stops_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: CloudAccess) -> None:
        raise NotReadyError(Problem("digitalocean:token", "", "unknown token", "another"))

    monkeypatch.setattr(preflight, "check_token", refuse)
    with pytest.raises(SettingsError, match="unknown token"):
        checked(storage={})
    assert checked()[0] == "1234", "an existing bucket needs no token"


def test_of_the_objects_in_a_namespace_only_kinds_and_metadata_are_read(kubectl: Kubectl) -> None:
    kubectl.does("""echo 'Secret {"name": "registry-tls"}'; echo 'Service {"name": "registry"}'""")
    assert Cluster("", ()).contents("registry", "secrets,services") == [
        ("Secret", {"name": "registry-tls"}),
        ("Service", {"name": "registry"}),
    ]
    assert "get secrets,services --namespace=registry --output=jsonpath=" in kubectl.calls


def test_what_was_asked_before_is_not_asked_again(kubectl: Kubectl) -> None:
    values = {"hostname": "a.b", "ingress": {"controllerNamespace": "traefik"}}
    settings = Settings.model_validate(values)
    cluster = preflight.ask(settings, access())
    for path in (INGRESSES, *preflight.ROUTES, services(settings.ingress)):
        cluster.items(path)
    assert cluster.uid() == "1234"
    assert sorted(kubectl.calls.splitlines()) == [
        "get --raw=/api/v1/namespaces/kube-system",
        "get --raw=/api/v1/namespaces/traefik/services",
        "get --raw=/apis/networking.k8s.io/v1/ingresses",
        "get --raw=/apis/traefik.io/v1alpha1/ingressroutes",
        "get --raw=/apis/traefik.io/v1alpha1/ingressroutetcps",
    ]


@pytest.mark.parametrize("enabled", [True, False])
def test_prometheus_operator_is_looked_for_only_where_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, enabled: bool
) -> None:
    paths: list[str] = []
    monkeypatch.setattr(Cluster, "ask", lambda _, all_paths: paths.extend(all_paths))
    settings = {"hostname": "a.b", "monitoring": {"enabled": enabled}}
    preflight.ask(Settings.model_validate(settings), access())
    assert ("/apis/monitoring.coreos.com/v1" in paths) == enabled


@pytest.mark.parametrize(("addresses", "requested"), [([], True), (["203.0.113.7"], False)])
def test_services_are_requested_only_for_addresses_that_are_not_set(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], requested: bool
) -> None:
    paths: list[str] = []
    monkeypatch.setattr(Cluster, "ask", lambda _, all_paths: paths.extend(all_paths))
    settings = Settings.model_validate({"hostname": "a.b", "dns": {"addresses": addresses}})
    preflight.ask(settings, access())
    assert (services(settings.ingress) in paths) == requested
