"""The cluster's ingress controller: Traefik as in k3s, with its 60 s for reading a request.

Arguments and labels as k3s's bundled chart renders them
(https://github.com/k3s-io/k3s/blob/master/manifests/traefik.yaml,
https://github.com/traefik/traefik-helm-chart). The differences: instead of
k3s' ServiceLB, host ports lead from the first node's ports 80 and 443 to the pod, which is always
there, and kube-proxy from those of a second node; and there is a certificate resolver, which a user
adds by a HelmChartConfig.
"""

from __future__ import annotations

from typing import Any

from sandbox.build.images import IMAGES
from sandbox.k3s import NAMESPACE
from sandbox.k3s.rbac import allow, cluster_role, service_account
from sandbox.layout import Layout, Node

LABELS = {
    "app.kubernetes.io/name": "traefik",
    "app.kubernetes.io/instance": "traefik-kube-system",
}
"""The labels by which network policies select Traefik's pods."""

_CA = "ca.crt"
"""The certificate of the ACME server's certificate authority; also the ConfigMap's key."""

RESOLVER = "letsencrypt"
"""The certificate resolver's name."""

_PING_PORT = 8080
"""The port of the entry point ``traefik``: ping and dashboard."""

_KINDS = (
    "ingressroutes ingressroutetcps ingressrouteudps middlewares middlewaretcps serverstransports "
    "serverstransporttcps tlsoptions tlsstores traefikservices"
)
"""The resources of the API group traefik.io."""


def arguments(acme_server: str) -> list[str]:
    """Return Traefik's arguments.

    Args:
        acme_server: The URL of the ACME server's directory.
    """
    resolver = f"--certificatesResolvers.{RESOLVER}.acme"
    return [
        # Unlike k3s: there is no Internet.
        "--global.checknewversion=false",
        "--api.dashboard=true",
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
        f"--providers.kubernetesingress.ingressendpoint.publishedservice={NAMESPACE}/traefik",
        f"{resolver}.caServer={acme_server}",
        f"{resolver}.caCertificates=/ca/{_CA}",
        f"{resolver}.storage=/data/acme.json",
        f"{resolver}.tlsChallenge=true",
        "--log.level=INFO",
    ]


def manifests(layout: Layout) -> list[Any]:
    """Return Traefik's objects; its CRDs must exist before it starts."""
    account, subject = service_account("traefik", NAMESPACE)
    rules = [
        allow("get list watch", "", "configmaps", "nodes", "secrets", "services"),
        allow("list watch", "discovery.k8s.io", "endpointslices"),
        allow("get list watch", "networking.k8s.io", "ingressclasses", "ingresses"),
        allow("update", "networking.k8s.io", "ingresses/status"),
        allow("get list watch", "traefik.io", *_KINDS.split()),
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
                # Two pods cannot have the same host ports, not even during a rollout.
                "strategy": {"type": "Recreate"},
                "template": {"metadata": {"labels": LABELS}, "spec": _pod(layout)},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "traefik", "namespace": NAMESPACE, "labels": LABELS},
            "spec": {
                "type": "LoadBalancer",
                "selector": LABELS,
                "ports": [
                    {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
                    for name, port in (("web", 80), ("websecure", 443))
                ],
            },
        },
    ]


def addresses(nodes: list[Node]) -> dict[str, Any]:
    """Return the status of the Service, with all nodes' addresses, as k3s' ServiceLB writes it.

    Args:
        nodes: The first one, whose address kube-proxy must leave to the host ports, which keep the
            clients' addresses, and others.
            https://kubernetes.io/docs/concepts/services-networking/service/#load-balancer-ip-mode
    """
    modes = ["Proxy", *["VIP"] * (len(nodes) - 1)]
    ingress = [{"ip": x.ip, "ipMode": mode} for x, mode in zip(nodes, modes, strict=True)]
    return {"status": {"loadBalancer": {"ingress": ingress}}}


def _pod(layout: Layout) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/ping", "port": _PING_PORT}}
    return {
        "serviceAccountName": "traefik",
        "nodeSelector": {"kubernetes.io/hostname": layout.node.name},
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
                "args": arguments(layout.acme_server),
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
