"""The cluster's ingress: Traefik as k3s runs it, its 60 s for reading a request included.

Arguments and labels as k3s' bundled chart renders them
(https://github.com/k3s-io/k3s/blob/master/manifests/traefik.yaml,
https://github.com/traefik/traefik-helm-chart). What is different: in k3s a LoadBalancer Service and
ServiceLB lead from the node's ports 80 and 443 to the pod, here host ports do; the Ingress' status
is told the node's address instead of that Service's; and there is a certificate resolver, as a user
adds one by a HelmChartConfig.
"""

from __future__ import annotations

from typing import Any

from sandbox.build.images import IMAGES
from sandbox.k3s import NAMESPACE
from sandbox.k3s.rbac import cluster_role, may, service_account
from sandbox.layout import Layout

LABELS = {
    "app.kubernetes.io/name": "traefik",
    "app.kubernetes.io/instance": "traefik-kube-system",
}
"""By which network policies tell Traefik's pods."""

_CA = "ca.crt"
"""Whom Traefik is to trust when it asks for certificates; also the ConfigMap's key."""

RESOLVER = "letsencrypt"
"""The certificate resolver's name."""

_PING_PORT = 8080
"""Of the entry point ``traefik``: ping and dashboard."""

_KINDS = (
    "ingressroutes ingressroutetcps ingressrouteudps middlewares middlewaretcps serverstransports "
    "serverstransporttcps tlsoptions tlsstores traefikservices"
)
"""Of the API group traefik.io."""


def arguments(node_ip: str, acme_server: str) -> list[str]:
    """List Traefik's arguments.

    Args:
        node_ip: The address that the status of an Ingress is to give.
        acme_server: The URL of the certificate authority that the resolver asks.
    """
    resolver = f"--certificatesResolvers.{RESOLVER}.acme"
    return [
        # Not as in k3s: there is nobody to ask, and the module has no dashboard in it.
        "--global.checknewversion=false",
        "--api.dashboard=false",
        "--entryPoints.metrics.address=:9100/tcp",
        f"--entryPoints.traefik.address=:{_PING_PORT}/tcp",
        "--entryPoints.web.address=:8000/tcp",
        "--entryPoints.websecure.address=:8443/tcp",
        "--entryPoints.websecure.http.tls=true",
        "--ping=true",
        "--metrics.prometheus=true",
        "--metrics.prometheus.entrypoint=metrics",
        "--providers.kubernetescrd",
        "--providers.kubernetescrd.allowEmptyServices=true",
        "--providers.kubernetesingress",
        "--providers.kubernetesingress.allowEmptyServices=true",
        f"--providers.kubernetesingress.ingressendpoint.ip={node_ip}",
        f"{resolver}.caServer={acme_server}",
        f"{resolver}.caCertificates=/ca/{_CA}",
        f"{resolver}.storage=/data/acme.json",
        f"{resolver}.tlsChallenge=true",
        "--log.level=INFO",
    ]


def manifests(layout: Layout) -> list[Any]:
    """Make Traefik's objects; its CRDs have to be there before it starts.

    Args:
        layout: The sandbox, for the node's address.
    """
    account, subject = service_account("traefik", NAMESPACE)
    rules = [
        may("get list watch", "", "configmaps", "nodes", "secrets", "services"),
        may("list watch", "discovery.k8s.io", "endpointslices"),
        may("get list watch", "networking.k8s.io", "ingressclasses", "ingresses"),
        may("update", "networking.k8s.io", "ingresses/status"),
        may("get list watch", "traefik.io", *_KINDS.split()),
    ]
    return [
        account,
        *cluster_role("traefik-kube-system", rules, subject),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {
                "name": "traefik",
                "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
            },
            "spec": {"controller": "traefik.io/ingress-controller"},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "traefik-ca", "namespace": NAMESPACE},
            "data": {_CA: (layout.pki / "ca.crt").read_text()},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "traefik", "namespace": NAMESPACE, "labels": LABELS},
            "spec": {
                "selector": {"matchLabels": LABELS},
                # Two pods cannot have the same host ports, not even for a moment.
                "strategy": {"type": "Recreate"},
                "template": {"metadata": {"labels": LABELS}, "spec": _pod(layout)},
            },
        },
    ]


def _pod(layout: Layout) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/ping", "port": _PING_PORT}}
    return {
        "serviceAccountName": "traefik",
        "terminationGracePeriodSeconds": 2,
        "priorityClassName": "system-cluster-critical",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "traefik",
                "image": IMAGES["traefik"].ref,
                "imagePullPolicy": "Never",
                "args": arguments(layout.node_ip, layout.acme_server),
                "ports": [
                    {"name": "traefik", "containerPort": _PING_PORT},
                    {"name": "web", "containerPort": 8000, "hostPort": 80},
                    {"name": "websecure", "containerPort": 8443, "hostPort": 443},
                ],
                "readinessProbe": {**probe, "periodSeconds": 1},
                "livenessProbe": {**probe, "initialDelaySeconds": 2, "failureThreshold": 3},
                "securityContext": {
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "data", "mountPath": "/data"},
                    {"name": "ca", "mountPath": "/ca"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 (the chart's, in the pod)
                ],
            }
        ],
        "volumes": [
            {"name": "data", "emptyDir": {}},
            {"name": "ca", "configMap": {"name": "traefik-ca"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
