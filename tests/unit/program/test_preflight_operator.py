"""Whether the cluster knows the kinds of Prometheus's operator."""

from __future__ import annotations

import pulumi
import pytest

from preflight import knows_prometheus_operator
from preflight.cluster import Cluster
from settings import Settings
from settings.problems import SettingsError
from tests.unit.program.test_preflight import Kubectl, access, in_preview, kubectl, warnings

__all__ = ["kubectl", "warnings"]

ENABLED = Settings.model_validate(
    {"hostname": "registry.example.com", "monitoring": {"enabled": True}}
)
UNKNOWN = "echo 'Error from server (NotFound): the server could not find it' >&2; exit 1"
UNREACHABLE = "echo 'The connection to the server was refused' >&2; exit 1"


def test_without_monitoring_nobody_asks(kubectl: Kubectl) -> None:
    kubectl.does(UNREACHABLE)
    settings = Settings.model_validate({"hostname": "registry.example.com"})
    assert not knows_prometheus_operator(settings, Cluster.of(access()))


def test_a_cluster_that_knows_it_says_so(kubectl: Kubectl, warnings: list[str]) -> None:
    kubectl.does("""echo '{"kind": "APIResourceList"}'""")
    assert knows_prometheus_operator(ENABLED, Cluster.of(access()))
    assert "--raw=/apis/monitoring.coreos.com/v1" in kubectl.calls
    assert not warnings


def test_a_cluster_that_does_not_is_a_warning(kubectl: Kubectl, warnings: list[str]) -> None:
    kubectl.does(UNKNOWN)
    assert not knows_prometheus_operator(ENABLED, Cluster.of(access()))
    assert warnings == [
        "monitoring.enabled: the cluster does not know Prometheus's operator, so there is no "
        "PodMonitor and no PrometheusRule; docs/monitoring.md says how to do without, and "
        "`pulumi up` creates them once it is installed"
    ]


@pytest.mark.parametrize("preview", [True, False])
def test_a_cluster_that_cannot_be_asked_stops_the_update_only(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch, preview: bool
) -> None:
    kubectl.does(UNREACHABLE)
    if preview:
        in_preview(monkeypatch)
        assert knows_prometheus_operator(ENABLED, Cluster.of(access()))
    else:
        monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
        with pytest.raises(SettingsError, match="was refused"):
            knows_prometheus_operator(ENABLED, Cluster.of(access()))
