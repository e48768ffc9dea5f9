"""PodMonitor and PrometheusRule, with Prometheus's operator."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from components.monitoring.alerts import alert_groups
from components.monitoring.monitoring import METRICS_PATHS
from components.network import METRICS_PORT
from sandbox.build import images
from tests.pinned_tools import PROMETHEUS_OPERATOR_CRDS
from tests.sandbox import prometheus
from tests.sandbox.helpers import Sandbox, define_kinds, eventually

STATEFUL_SET, POD = "statefulset/prometheus-all", "prometheus-all-0"


@contextmanager
def operator(sandbox: Sandbox) -> Iterator[None]:
    """Run it on the machine instead of in a pod."""
    tools, pki = prometheus.built(sandbox), sandbox.layout.pki
    crds = [tools / copy.name for copy in PROMETHEUS_OPERATOR_CRDS]
    command = [
        str(tools / "prometheus-operator"),
        f"--apiserver=https://{sandbox.layout.node_ip}:6443",
        f"--ca-file={pki / 'ca.crt'}",
        f"--cert-file={pki / 'kubelet-client.crt'}",
        f"--key-file={pki / 'kubelet-client.key'}",
        f"--prometheus-config-reloader={images.PYTHON}",
        "--web.listen-address=127.0.0.1:0",
    ]
    try:
        # The operator looks for them once.
        define_kinds(sandbox, crds)
        log = (sandbox.layout.logs / "prometheus-operator.log").open("wb")
        with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                yield
            finally:
                process.terminate()
    finally:
        # Deletes all objects of these kinds.
        files = (f"--filename={file}" for file in crds)
        sandbox.kubectl("delete", *files, "--ignore-not-found")


def replaced(name: str, command: str) -> dict[str, Any]:
    """Return what makes a container of the operator's start a program of this machine."""
    return {
        "name": name,
        "command": [f"/opt/{command}"],
        "volumeMounts": [{"name": "programs", "mountPath": "/opt"}],
    }


def all_that_is_monitored(sandbox: Sandbox) -> dict[str, Any]:
    """Return a Prometheus that takes every PodMonitor and PrometheusRule."""
    reloader = "prometheus-config-reloader"
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": "all", "namespace": prometheus.NAMESPACE},
        "spec": {
            "image": images.PYTHON,
            "imagePullPolicy": "Never",
            "version": "v3.16.0",
            "evaluationInterval": "1s",
            "podMonitorSelector": {},
            "podMonitorNamespaceSelector": {},
            "ruleSelector": {},
            "ruleNamespaceSelector": {},
            "volumes": [{"name": "programs", "hostPath": {"path": str(sandbox.layout.tools)}}],
            "containers": [
                replaced("prometheus", "prometheus"),
                replaced("config-reloader", reloader),
            ],
            "initContainers": [replaced("init-config-reloader", reloader)],
        },
    }


@pytest.mark.long
def test_the_operators_prometheus_scrapes_the_pods_and_has_the_alerts(sandbox: Sandbox) -> None:
    with operator(sandbox):
        sandbox.config(monitoring__enabled=True)
        try:
            up = sandbox.pulumi("up", "--yes", "--skip-preview").stdout
            assert "does not know Prometheus's operator" not in up
            sandbox.pulumi("preview", "--expect-no-changes")
            prometheus.allow(sandbox)
            sandbox.apply(all_that_is_monitored(sandbox))
            namespace = f"--namespace={prometheus.NAMESPACE}"
            sandbox.kubectl("wait", "--for=create", STATEFUL_SET, namespace, "--timeout=60s")
            sandbox.kubectl("rollout", "status", STATEFUL_SET, namespace, "--timeout=120s")
            eventually("all are scraped", lambda: scraped(sandbox) == set(METRICS_PATHS))
            loaded = prometheus.api(sandbox, "rules", POD)["groups"]
            assert [names(group) for group in loaded] == [
                names(x) for x in alert_groups("registry", {})
            ]
            assert all(rule["health"] == "ok" for group in loaded for rule in group["rules"])
        finally:
            sandbox.pulumi("config", "rm", "monitoring")
            sandbox.pulumi("up", "--yes", "--skip-preview")
            prometheus.stop(sandbox)


def scraped(sandbox: Sandbox) -> set[str]:
    """Return the components whose pods are up, by their metrics port."""
    expression = f'up{{namespace="registry", instance=~".+:{METRICS_PORT}"}} == 1'
    return {x["metric"]["component"] for x in prometheus.query(sandbox, expression, POD)}


def names(group: dict[str, Any]) -> list[str]:
    return [rule.get("alert") or rule["name"] for rule in group["rules"]]
