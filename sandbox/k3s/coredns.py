"""The cluster's DNS: CoreDNS as in k3s, with the sandbox's names in addition.

After https://github.com/k3s-io/k3s/blob/master/manifests/coredns.yaml. The difference: names
outside of cluster and sandbox do not exist, since there is no upstream server.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sandbox.build.images import IMAGES
from sandbox.k3s import NAMESPACE
from sandbox.k3s.rbac import allow, cluster_role, service_account
from sandbox.layout import Layout

DNS_IP = "10.43.0.10"
"""The DNS Service's address; k3s' default (``--cluster-dns``)."""

DOMAIN = "cluster.local"
"""The cluster's domain; Kubernetes' and k3s' default."""

LABELS = {"k8s-app": "kube-dns"}
"""The labels by which network policies everywhere select the DNS pods."""

_READY_PORT = 8181
"""The default of CoreDNS's plugin ready."""


def corefile(hosts: dict[str, str]) -> str:
    """Return CoreDNS's configuration.

    Args:
        hosts: Names outside of the cluster's domain, with their addresses.
    """
    names = "\n".join(f"    {ip} {name}" for name, ip in hosts.items())
    return f"""\
{DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
  errors
  ready :{_READY_PORT}
  kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
    pods insecure
  }}
}}
.:53 {{
  errors
  hosts {{
{names}
    fallthrough
  }}
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


def manifests(layout: Layout) -> list[Any]:
    """Return CoreDNS's objects."""
    meta = {"name": "coredns", "namespace": NAMESPACE}
    account, subject = service_account("coredns", NAMESPACE)
    rules = [
        allow("list watch", "", "endpoints", "namespaces", "pods", "services"),
        allow("list watch", "discovery.k8s.io", "endpointslices"),
    ]
    config = corefile(layout.hosts)
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    return [
        account,
        *cluster_role("system:coredns", rules, subject),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"Corefile": config}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {
                "selector": {"matchLabels": LABELS},
                "template": {
                    "metadata": {
                        "labels": LABELS,
                        # CoreDNS has no plugin reload here: a new Corefile needs a new pod.
                        "annotations": {
                            "sandbox/corefile": hashlib.sha256(config.encode()).hexdigest()
                        },
                    },
                    "spec": _pod(),
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": NAMESPACE, "labels": LABELS},
            "spec": {"clusterIP": DNS_IP, "selector": LABELS, "ports": ports},
        },
    ]


def _pod() -> dict[str, Any]:
    return {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": 1,
        "priorityClassName": "system-cluster-critical",
        "containers": [
            {
                "name": "coredns",
                "image": IMAGES["coredns"].ref,
                "imagePullPolicy": "Never",
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [
                    {"name": "dns", "containerPort": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
                ],
                "readinessProbe": {
                    "httpGet": {"path": "/ready", "port": _READY_PORT},
                    "periodSeconds": 1,
                },
                "securityContext": {
                    # Root with one capability, as in k3s: another user would lose it on exec.
                    "runAsUser": 0,
                    "readOnlyRootFilesystem": True,
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
