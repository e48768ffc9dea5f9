"""Stand-in for k3s' helm-controller: gives its Traefik the read timeouts of a HelmChartConfig.

``python -m sandbox.k3s.helm_controller <kubeconfig>`` does to the Deployment what k3s does by
running Helm again. It knows ``ports.<entry point>.transport.respondingTimeouts.readTimeout`` only,
and ignores all other values.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import yaml

from sandbox.k3s.rbac import allow, cluster_role
from sandbox.kube_api import KubeApi

USER = "sandbox:helm-controller"
"""The stand-in's name to the API server."""

_CONFIGS = "/apis/helm.cattle.io/v1/namespaces/kube-system/helmchartconfigs"
_DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments"
_NAME = "traefik"
"""Of the chart, and so of its HelmChartConfig; also of the Deployment, and of its container."""

_SETTING = ".transport.respondingTimeouts.readTimeout="

_RETRY = 1.0
"""Seconds after a failure."""


def arguments(given: list[str], values: str) -> list[str]:
    """Give Traefik's arguments as the chart renders them from other values.

    https://github.com/traefik/traefik-helm-chart/blob/master/traefik/templates/_podtemplate.tpl

    Args:
        given: Its arguments now.
        values: The chart's values that differ from k3s', as YAML.
    """
    timeouts = {
        name: port.get("transport", {}).get("respondingTimeouts", {}).get("readTimeout")
        for name, port in (yaml.safe_load(values) or {}).get("ports", {}).items()
    }
    return [argument for argument in given if _SETTING not in argument] + [
        f"--entryPoints.{name}{_SETTING}{timeout}" for name, timeout in timeouts.items() if timeout
    ]


def apply(api: KubeApi) -> None:
    """Keep Traefik's arguments as its HelmChartConfig wants them. Never returns.

    Args:
        api: The API server, as a user who may watch both and patch the Deployment.
    """
    changed = api.follow([_CONFIGS, _DEPLOYMENTS])
    while True:
        changed.wait()
        changed.clear()
        try:
            _apply(api)
        except OSError as error:
            print(error, flush=True)
            changed.set()
            time.sleep(_RETRY)


def _apply(api: KubeApi) -> None:
    values = "".join(
        config["spec"].get("valuesContent", "")
        for config in api.get(_CONFIGS)["items"]
        if config["metadata"]["name"] == _NAME
    )
    (container,) = api.get(f"{_DEPLOYMENTS}/{_NAME}")["spec"]["template"]["spec"]["containers"]
    wanted = arguments(container["args"], values)
    if wanted != container["args"]:
        containers = [{"name": _NAME, "args": wanted}]
        body = {"spec": {"template": {"spec": {"containers": containers}}}}
        api.patch(f"{_DEPLOYMENTS}/{_NAME}", body)
        print(f"values: {values!r}", flush=True)


def manifests() -> list[Any]:
    """Return the RBAC objects that let the stand-in watch charts and change Deployments."""
    rules = [
        allow("list watch", "helm.cattle.io", "helmchartconfigs"),
        allow("get list watch patch", "apps", "deployments"),
    ]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    return cluster_role(USER, rules, subject)


if __name__ == "__main__":
    apply(KubeApi.of(Path(sys.argv[1])))
