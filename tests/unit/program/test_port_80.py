"""A Traefik that redirects port 80 itself, as the chart makes its arguments."""

from __future__ import annotations

import json

import pytest

from preflight.cluster import Cluster
from preflight.port_80 import redirected
from settings import Settings
from settings.names import ROUTE_PRIORITY
from settings.problems import Problem, SettingsError
from tests.unit.program.test_preflight import Kubectl, access, checked, kubectl, warnings

__all__ = ["kubectl", "warnings"]

LETS_ENCRYPT = {"mode": "letsEncrypt", "email": "you@example.com"}
CERT_MANAGER = {"mode": "certManager", "issuer": "x"}
TO = "--entryPoints.web.http.redirections.entryPoint.to=:443"
PRIORITY = "--entrypoints.web.http.redirections.entrypoint.priority"


def traefik(kubectl: Kubectl, *arguments: str) -> None:
    """Run a Traefik with more arguments in the cluster."""
    pod = {"spec": {"containers": [{"args": ["--entryPoints.web.address=:80", *arguments]}]}}
    pods = "/namespaces/kube-system/pods?labelSelector=app.kubernetes.io/name=traefik"
    kubectl.does(f"""case "$*" in
        */namespaces/kube-system) echo '{{"metadata": {{"uid": "1234"}}}}';;
        *{pods}) echo '{json.dumps({"items": [pod]})}';;
        *.v1.*) ;;
        *) echo '{{"items": []}}';;
    esac""")


def problem(tls: object = LETS_ENCRYPT, **settings: object) -> Problem | None:
    values = {"hostname": "registry.example.com", "tls": tls, **settings}
    return redirected(Settings.model_validate(values), Cluster.of(access()))


def test_a_redirect_before_every_ingress_is_refused_with_the_setting_that_helps(
    kubectl: Kubectl, warnings: list[str]
) -> None:
    """Nothing has been made then, and no order failed: Let's Encrypt takes few of these."""
    traefik(kubectl, TO)
    with pytest.raises(SettingsError) as error:
        checked(tls=LETS_ENCRYPT)
    (found,) = error.value.problems
    assert (found.key, found.value) == ("tls.mode", '"letsEncrypt"')
    assert "redirects all of port 80" in found.expected
    assert "--entryPoints.web.http.redirections.entryPoint.priority=1\n" in found.fix
    assert not warnings


def test_of_cert_manager_it_is_told(kubectl: Kubectl, warnings: list[str]) -> None:
    traefik(kubectl, TO)
    checked(tls=CERT_MANAGER)
    (warning,) = warnings
    assert warning.startswith('tls.mode "certManager": Traefik redirects all of port 80')


@pytest.mark.parametrize(
    ("tls", "priority", "passes"),
    [
        (LETS_ENCRYPT, 1, True),
        (LETS_ENCRYPT, ROUTE_PRIORITY - 1, True),
        (LETS_ENCRYPT, ROUTE_PRIORITY, False),
        (CERT_MANAGER, 1, True),
        # The length of the hostname, and surely less than that of the rule with it.
        (CERT_MANAGER, 19, True),
        (CERT_MANAGER, 20, False),
    ],
)
def test_a_redirect_after_the_challenges_route_lets_it_pass(
    kubectl: Kubectl, tls: object, priority: int, passes: bool
) -> None:
    traefik(kubectl, TO, f"{PRIORITY}={priority}")
    assert (problem(tls) is None) is passes


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [f"{PRIORITY}=1"],
        ["--entryPoints.other.http.redirections.entryPoint.to=:443"],
        ["--entryPoints.web.http.redirections.entryPoint.permanent=true"],
    ],
)
def test_without_a_redirect_nothing_is_in_the_way(kubectl: Kubectl, arguments: list[str]) -> None:
    traefik(kubectl, *arguments)
    assert problem() is None


def test_only_who_asks_by_http_01_needs_port_80(kubectl: Kubectl) -> None:
    traefik(kubectl, TO)
    assert problem()
    assert problem({"mode": "acme"}) is None


def test_a_command_of_the_container_counts_and_a_cluster_that_hides_its_pods_says_nothing(
    kubectl: Kubectl,
) -> None:
    pod = {"spec": {"containers": [{"command": ["traefik", TO.lower()]}]}}
    kubectl.does(f"""echo '{json.dumps({"items": [pod]})}'""")
    assert problem()
    kubectl.does("echo 'Error from server (Forbidden): pods is forbidden' >&2; exit 1")
    assert problem() is None
