"""A real Prometheus with kube-state-metrics, in a pod of the sandbox's cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from components.monitoring.monitoring import METRICS_PATHS
from components.network import METRICS_PORT
from sandbox.build import images, toolchain
from tests.pinned_tools import KUBE_STATE_METRICS, PROMETHEUS, PROMETHEUS_OPERATOR_CRDS
from tests.sandbox.helpers import Sandbox, eventually

NAMESPACE, POD = "monitoring", "prometheus"
KUBE_STATE_METRICS_PORT = 8080


def built(sandbox: Sandbox) -> Path:
    """Build all programs, which takes minutes the first time, and return their folder."""
    tools = sandbox.layout.tools
    toolchain.build(tools, (KUBE_STATE_METRICS, *PROMETHEUS), PROMETHEUS_OPERATOR_CRDS)
    return tools


def config(namespace: str, paths: Mapping[str, str]) -> dict[str, Any]:
    """Return what docs/monitoring.md says, and what scrapes kube-state-metrics."""
    pods = {"names": [f"registry-pods.{namespace}.svc"], "type": "A", "port": METRICS_PORT}
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["/config/alerts.yml"],
        "scrape_configs": [
            *(
                {
                    "job_name": component,
                    "metrics_path": path,
                    "dns_sd_configs": [pods],
                    "relabel_configs": [
                        {"target_label": "namespace", "replacement": namespace},
                        {"target_label": "component", "replacement": component},
                    ],
                }
                for component, path in paths.items()
            ),
            {
                "job_name": "kube-state-metrics",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.0.0.1:{KUBE_STATE_METRICS_PORT}"]}],
            },
        ],
    }


def at_once(groups: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a file of alerts that fire without waiting."""
    return {
        "groups": [
            {**group, "rules": [{**rule, "for": "0s"} for rule in group["rules"]]}
            for group in groups
        ]
    }


def allow(sandbox: Sandbox) -> None:
    """Create the namespace, and allow its pods to look around in the cluster."""
    sandbox.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "prometheus"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "view",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}],
        },
    )


def start(
    sandbox: Sandbox,
    groups: Sequence[Mapping[str, Any]],
    paths: Mapping[str, str] = METRICS_PATHS,
) -> None:
    """Start both, and wait until Prometheus has seen the registry, by the paths of its metrics."""
    allow(sandbox)
    goroot = sandbox.run("go", "env", "GOROOT").stdout.strip()
    metadata = {"name": "prometheus", "namespace": NAMESPACE}
    volumes = [
        {"name": "programs", "hostPath": {"path": str(built(sandbox))}},
        # kube-state-metrics knows the CronJob's time zone only if somebody has it.
        {"name": "zones", "hostPath": {"path": f"{goroot}/lib/time"}},
        {"name": "config", "configMap": {"name": "prometheus"}},
        {"name": "data", "emptyDir": {}},
    ]
    common: dict[str, Any] = {
        "image": images.PYTHON,
        "imagePullPolicy": "Never",
        "volumeMounts": [
            {"name": "programs", "mountPath": "/opt"},
            # kube-state-metrics knows the CronJob's time zone only if somebody has it.
            {"name": "zones", "mountPath": "/zones"},
            {"name": "config", "mountPath": "/config"},
            {"name": "data", "mountPath": "/data"},
        ],
    }
    sandbox.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {
                "prometheus.yml": yaml.safe_dump(config("registry", paths)),
                "alerts.yml": yaml.safe_dump(at_once(groups)),
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        **common,
                        "name": "prometheus",
                        "command": [
                            "/opt/prometheus",
                            "--config.file=/config/prometheus.yml",
                            "--storage.tsdb.path=/data",
                        ],
                        "readinessProbe": {
                            "httpGet": {"path": "/-/ready", "port": 9090},
                            "periodSeconds": 1,
                        },
                    },
                    {
                        **common,
                        "name": "kube-state-metrics",
                        "command": ["/opt/kube-state-metrics", "--resources=jobs,cronjobs"],
                        "env": [{"name": "ZONEINFO", "value": "/zones/zoneinfo.zip"}],
                    },
                ],
                "volumes": volumes,
            },
        },
    )
    wait = ("wait", "--for=condition=Ready", "pod/prometheus", f"--namespace={NAMESPACE}")
    sandbox.kubectl(*wait, "--timeout=60s")
    targets = len(paths) + 1
    eventually("all are scraped", lambda: len(query(sandbox, "up == 1")) == targets)


def stop(sandbox: Sandbox) -> None:
    sandbox.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    sandbox.kubectl("delete", "clusterrolebinding", "prometheus", "--ignore-not-found")


def query(sandbox: Sandbox, expression: str, pod: str = POD) -> list[dict[str, Any]]:
    """Return what an expression gives now."""
    return list(api(sandbox, f"query?query={quote(expression)}", pod)["result"])


def query_of(target: Mapping[str, str]) -> str:
    """Return the query of a line of the dashboard, as Grafana fills it in."""
    variables = {"$namespace": "registry", "$__rate_interval": "1m"}
    query = target["expr"]
    for variable, value in variables.items():
        query = query.replace(variable, value)
    return query


def firing(sandbox: Sandbox) -> set[str]:
    """Return the names of the alerts that fire."""
    alerts = api(sandbox, "alerts")["alerts"]
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def api(sandbox: Sandbox, path: str, pod: str = POD) -> dict[str, Any]:
    """Send a request to Prometheus's API, and return its data."""
    url = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}:9090/proxy/api/v1/{path}"
    data: dict[str, Any] = json.loads(sandbox.kubectl("get", f"--raw={url}").stdout)["data"]
    return data


def fetched(sandbox: Sandbox, address: str, path: str) -> str:
    """Return the status of a request from Prometheus's namespace to a pod's metrics port."""
    script = (
        "import sys, urllib.request, urllib.error\n"
        "try: print(urllib.request.urlopen(sys.argv[1], timeout=5).status)\n"
        "except urllib.error.HTTPError as error: print(error.code)"
    )
    url = f"http://{address}:{METRICS_PORT}{path}"
    where = ("exec", "prometheus", f"--namespace={NAMESPACE}", "--container=prometheus", "--")
    return sandbox.kubectl(*where, "python3", "-c", script, url).stdout.strip()
