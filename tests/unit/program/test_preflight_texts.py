"""What preflight says of a cluster: each refusal with the command that fixes it."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from preflight import conflicts, routers
from preflight.cluster import KUBE_SYSTEM, Cluster
from preflight.errors import NotReadyError
from preflight.identity import same_cluster
from settings import Settings
from settings.names import ROUTE_PRIORITY
from settings.problems import SettingsError
from settings.tls import TlsCertManager
from tests.unit.conftest import Golden
from tests.unit.program import conftest
from tests.unit.program.conftest import Run, refusal
from tests.unit.program.test_preflight import CREDENTIAL, KUBECONFIG, Kubectl, access, kubectl
from tests.unit.program.test_routers import HOSTNAME, ingress, route

__all__ = ["kubectl"]

PULLS = Settings.model_validate(
    {"hostname": HOSTNAME, "pullSecrets": {"namespaces": ["team"], "defaultServiceAccount": True}}
)
ACCOUNT = {
    "metadata": {"name": "default", "namespace": "team"},
    "imagePullSecrets": [{"name": "b"}, {"name": "a"}],
}
CERTIFICATE = TlsCertManager.model_validate({"mode": "certManager", "issuer": "x"})


def test_each_conflict_is_shown_with_its_fix(golden: Golden) -> None:
    others = [
        *routers.of_ingresses(PULLS, [ingress(HOSTNAME), ingress("*.example.com")]),
        *routers.of_routes(PULLS, [route(f"HostSNI(`{HOSTNAME}`)", "IngressRouteTCP")]),
        *routers.of_routes(PULLS, [route("Host(`*.example.com`)", priority=ROUTE_PRIORITY)]),
    ]
    problems = [
        *(item.problem for item in routers.served(PULLS, others)),
        *conflicts.missing_namespaces(PULLS, []),
        *conflicts.service_accounts(PULLS, [ACCOUNT]),
        *conflicts.certificate(CERTIFICATE, {"namespace": "registry"}),
    ]
    with pytest.raises(SettingsError) as error:
        same_cluster("recorded", "another")
    warnings = "\n".join(routers.warnings(PULLS, others))
    golden("conflicts.txt", f"{SettingsError(*problems)}\n\n{error.value}\n\n{warnings}\n")


def test_what_says_nothing_of_a_host_or_of_pull_secrets_is_in_nobodys_way() -> None:
    metadata = {"name": "default", "namespace": "team"}
    silent: list[dict[str, Any]] = [{}, {"routes": [{}]}]
    items = [{"kind": "IngressRoute", "metadata": metadata, "spec": spec} for spec in silent]
    known = routers.of_routes(PULLS, items)
    assert not routers.served(PULLS, known)
    assert not routers.warnings(PULLS, known)
    assert conflicts.service_accounts(PULLS, [{"metadata": metadata}]) == []


def not_ready(kubeconfig: str = "") -> str:
    """Return what is said of a cluster that cannot be asked."""
    with pytest.raises(NotReadyError) as error:
        Cluster.of(access(**{"kubeconfig": kubeconfig} if kubeconfig else {})).uid()
    return f"{SettingsError(error.value.problem)}\n\n"


def test_each_reason_why_a_cluster_cannot_be_asked_is_shown_with_its_fix(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch, golden: Golden
) -> None:
    log = "E1125 01:02:03.004005 6 memcache.go:265] a line of its log"
    kubectl.does(f"printf 'first\\nit was refused\\n{log}\\n \\n' >&2; exit 1")
    text = not_ready()
    kubectl.does("exit 1")
    text += not_ready()
    eight = KUBECONFIG.replace(CREDENTIAL, "12345678")
    kubectl.does("echo 'bad token 12345678' >&2; exit 1")
    text += not_ready(eight)

    def hang(*_: object, timeout: float, **__: object) -> NoReturn:
        raise subprocess.TimeoutExpired("kubectl", timeout)

    def miss(*_: object, **__: object) -> NoReturn:
        raise FileNotFoundError("kubectl")

    monkeypatch.setattr(subprocess, "run", hang)
    text += not_ready()
    monkeypatch.setattr(subprocess, "run", miss)
    monkeypatch.setenv("PATH", "/bin:/nonexistent")
    text += not_ready()
    monkeypatch.delenv("PATH")
    text += not_ready()
    golden("cluster.txt", text)


def test_kubectl_is_called_for_objects_and_owners_alike(kubectl: Kubectl) -> None:
    cluster = Cluster.of(access())
    cluster.metadata("Secret", "v1", "registry-tls", "registry")
    cluster.owner("shop")
    options = "--ignore-not-found --output=jsonpath={.metadata}"
    assert kubectl.calls.splitlines() == [
        f"get Secret.v1. registry-tls --namespace=registry {options}",
        f"get Namespace.v1. shop --namespace= {options}",
    ]


def test_requests_are_made_while_the_program_goes_on(kubectl: Kubectl, tmp_path: Path) -> None:
    go = tmp_path / "go"
    kubectl.does(f"""
        while ! [ -e {go} ]; do sleep 0.01; done
        echo '{{"metadata": {{"uid": "1234"}}}}'
    """)
    cluster = Cluster.of(access())
    started = time.monotonic()
    cluster.ask([KUBE_SYSTEM])
    assert time.monotonic() - started < 5, "its limit is 10 s"
    while not kubectl.called:
        time.sleep(0.01)
    go.touch()
    assert cluster.uid() == "1234"
    assert len(kubectl.calls.splitlines()) == 1


@pytest.mark.usefixtures("kubectl")
def test_the_representation_of_a_cluster_has_no_responses() -> None:
    cluster = Cluster.of(access(context="prod"))
    cluster.ask([KUBE_SYSTEM])
    cluster.uid()
    assert repr(cluster) == "Cluster(flags=('--context=prod',))"


def test_another_cluster_than_the_stacks_stops_the_program(run: Run) -> None:
    message = refusal(run, state={"cluster-uid": {"output": "another"}})
    assert "expected this stack's cluster, UID another" in message


def test_a_preview_that_cannot_ask_records_no_cluster(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conftest, "_check", lambda *_: (None, []))
    engine = run(preview=True, environment={"OF": "a preview without a cluster"})
    assert engine.inputs("cluster-uid") == {"input": ""}
