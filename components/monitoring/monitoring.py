"""Who may get metrics, and the objects for Prometheus's operator and Grafana."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.metadata import SCAN, labels
from components.monitoring.alerts import AUTH_PROXY, MANIFESTS, REGISTRY, alert_groups
from components.monitoring.dashboard import dashboard
from components.network import (
    FINDINGS_METRICS_PATH,
    MANIFESTS_METRICS_PATH,
    METRICS_PATH,
    METRICS_PORT,
    PROXY_METRICS_PATH,
    REGISTRY_LABELS,
    in_namespace,
    policy,
    tcp,
)
from settings.monitoring import MonitoringSettings

NAME = "registry-monitoring"
"""The name of all objects."""

LABELS = labels("monitoring")

METRICS_PATHS = {
    REGISTRY: METRICS_PATH,
    MANIFESTS: MANIFESTS_METRICS_PATH,
    AUTH_PROXY: PROXY_METRICS_PATH,
}
"""The path of metrics, by what the label ``component`` of them holds."""

SCAN_METRICS_PATHS = {SCAN: FINDINGS_METRICS_PATH}
"""More paths, if images are scanned."""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What is monitored, and by whom.

    Attributes:
        operator: Whether the cluster knows the kinds of Prometheus's operator.
        ends: When logins end, in seconds since 1970, by user.
        scan: Whether images are scanned.
    """

    settings: MonitoringSettings
    namespace: pulumi.Output[str]
    operator: bool
    ends: Mapping[str, int]
    scan: bool


class Monitoring(pulumi.ComponentResource):
    """Lets Prometheus get metrics, and tells its operator of them, of alerts and a dashboard."""

    def __init__(
        self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Monitoring", name, None, opts)
        self._name, self._namespace = name, args.namespace
        child = pulumi.ResourceOptions(parent=self)
        policy(
            f"{name}-policy",
            NAME,
            args.namespace,
            REGISTRY_LABELS,
            child,
            ingress=[
                {
                    "from_": [{"namespace_selector": in_namespace(args.settings.namespace)}],
                    "ports": tcp(METRICS_PORT),
                }
            ],
        )
        kubernetes.core.v1.ConfigMap(
            f"{name}-dashboard",
            # Grafana's sidecar looks for this label:
            # https://github.com/grafana/helm-charts/blob/main/charts/grafana/README.md
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=NAME, namespace=args.namespace, labels={**LABELS, "grafana_dashboard": "1"}
            ),
            data={"registry.json": dashboard()},
            opts=child,
        )
        if args.operator:
            self._custom_resource("PodMonitor", pod_monitor(scan=args.scan))
            groups = args.namespace.apply(
                lambda namespace: {"groups": alert_groups(namespace, args.ends, scan=args.scan)}
            )
            self._custom_resource("PrometheusRule", groups)
        self.register_outputs({})

    def _custom_resource(self, kind: str, spec: pulumi.Input[dict[str, Any]]) -> None:
        kubernetes.apiextensions.CustomResource(
            f"{self._name}-{kind.lower()}",
            api_version="monitoring.coreos.com/v1",
            kind=kind,
            metadata={"name": NAME, "namespace": self._namespace, "labels": LABELS},
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self),
        )


def pod_monitor(*, scan: bool) -> dict[str, Any]:
    """Return the spec of the PodMonitor.

    https://prometheus-operator.dev/docs/api-reference/api/#monitoring.coreos.com/v1.PodMonitor
    """
    return {
        "selector": {"matchLabels": REGISTRY_LABELS},
        "podMetricsEndpoints": [
            {
                "port": "metrics",
                "path": path,
                "interval": "30s",
                # Without it, all would have the same labels.
                "relabelings": [{"targetLabel": "component", "replacement": component}],
            }
            for component, path in (METRICS_PATHS | (SCAN_METRICS_PATHS if scan else {})).items()
        ],
    }
