"""The processes of a Kubernetes node, and its readiness."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from typing import Any
from urllib.parse import quote

from sandbox.enclosure.process import Process
from sandbox.k3s import NAMESPACE, coredns, traefik
from sandbox.k3s.coredns import DOMAIN
from sandbox.kube_api import PORT, KubeApi
from sandbox.layout import Layout, Node
from sandbox.node.config import SERVICES, containerd_folder, containerd_process, file

_ETCD = "http://127.0.0.1:2379"
_PROXY_READY = "http://127.0.0.1:10256/healthz"
"""Returns 200 once kube-proxy has written its rules; its default port."""

_LAST_BUT_ONE, _LAST = 1, 2
"""``Process.stop``: without etcd the API server hangs, without the API server all others do."""


def processes(layout: Layout) -> list[Process]:
    """Return the first node's processes in the order in which they start.

    Args:
        layout: The sandbox, with its configuration written.
    """
    keys = layout.pki

    def kube(part: str, *flags: str, **other: Any) -> Process:  # noqa: ANN401 (Process' fields)
        return Process(part, [str(layout.tools / part), *flags], **other)

    def authorized(user: str) -> list[str]:
        flag = f"kubeconfig={file(layout.node, f'{user}.kubeconfig')}"
        return [f"--{flag}", f"--authentication-{flag}", f"--authorization-{flag}"]

    return [
        kube(
            "etcd",
            f"--data-dir={layout.node.folder / 'etcd'}",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            # Data survives a killed process, but maybe not a killed machine.
            "--unsafe-no-fsync",
            # Alone it has nobody to wait for: by default it elects itself after up to a second.
            "--heartbeat-interval=20",
            "--election-timeout=100",
            "--log-level=warn",
            stop=_LAST,
        ),
        kube(
            "kube-apiserver",
            f"--etcd-servers={_ETCD}",
            f"--secure-port={PORT}",
            f"--advertise-address={layout.node_ip}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--token-auth-file={file(layout.node, 'tokens.csv')}",
            f"--client-ca-file={keys / 'ca.crt'}",
            f"--tls-cert-file={keys / 'kube-apiserver.crt'}",
            f"--tls-private-key-file={keys / 'kube-apiserver.key'}",
            f"--kubelet-client-certificate={keys / 'kubelet-client.crt'}",
            f"--kubelet-client-key={keys / 'kubelet-client.key'}",
            # For `kubectl logs` and `exec`: the node's name is in no DNS.
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
            f"--service-account-signing-key-file={keys / 'service-accounts.key'}",
            f"--service-account-key-file={keys / 'service-accounts.pub'}",
            stop=_LAST_BUT_ONE,
        ),
        # The API server's clients start after it, without crash loops and back-offs of their own.
        kube(
            "kube-controller-manager",
            *authorized("controllers"),
            "--use-service-account-credentials=true",
            f"--root-ca-file={keys / 'ca.crt'}",
            f"--service-account-private-key-file={keys / 'service-accounts.key'}",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            # The defaults protect the API server of a large cluster, and delay a start by 9 s.
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            "--controller-start-interval=0s",
            after=_ready(layout),
        ),
        kube(
            "kube-scheduler",
            *authorized("scheduler"),
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            after=_ready(layout),
        ),
        *agent(layout, layout.node),
    ]


def agent(layout: Layout, node: Node) -> list[Process]:
    """Return the processes that every node has.

    Args:
        layout: The sandbox.
        node: One of its nodes, with its configuration written.
    """
    prefix = "" if node == layout.node else f"{node.name}-"
    name = f"--hostname-override={node.name}"

    def kube(part: str, *flags: str, after: str) -> Process:
        return Process(f"{prefix}{part}", [str(layout.tools / part), *flags], after=after)

    def of(user: str) -> str:
        return f"--kubeconfig={file(node, f'{user}.kubeconfig')}"

    return [
        Process(
            containerd_process(layout, node),
            [
                *(sys.executable, "-m", "sandbox.k3s.containerd"),
                *(str(node.folder / "rancher" / "k3s"), str(containerd_folder(node))),
                *(str(file(node, "containerd.toml")), layout.docker_io_endpoint),
            ],
            env={"SSL_CERT_FILE": str(layout.pki / "bundle.crt")},
            stop=_LAST,
        ),
        kube(
            "kubelet",
            *(f"--config={file(node, 'kubelet.json')}", of("kubelet"), name),
            f"--node-ip={node.ip}",
            after=_ready(layout),
        ),
        kube("kube-proxy", f"--config={file(node, 'proxy.json')}", after=_ready(layout)),
        kube(
            "kube-router",
            *(of("kube-router"), name, f"--service-cluster-ip-range={SERVICES}"),
            # It ends without a node; kube-proxy waits for one.
            after=_PROXY_READY,
        ),
    ]


def _ready(layout: Layout) -> str:
    return f"https://{layout.node_ip}:{PORT}/readyz"


def node_missing(api: KubeApi, node: Node, since: float) -> str:
    """Return whether a node is not ready yet, as :func:`missing` does."""
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since))
    conditions = api.get(f"/api/v1/nodes/{node.name}")["status"].get("conditions", [])
    if not any(
        x["type"] == "Ready" and x["status"] == "True" and x["lastHeartbeatTime"] >= start
        for x in conditions
    ):
        return f"{node.name} is not ready"
    return ""


def missing(api: KubeApi, node: Node, since: float) -> str:
    """Return what is not ready yet; empty if everything is.

    Args:
        api: The API server, as a user with read access to everything.
        node: The first node, with Traefik.
        since: Seconds since the epoch; earlier readiness does not count. After a restart, the API
            server still has the kubelet's last reports on node and pods, which are gone.

    Raises:
        OSError: The API server or Traefik does not respond, or an object does not exist yet.
    """
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since))
    if reason := node_missing(api, node, since):
        return reason
    api.get("/api/v1/namespaces/default/serviceaccounts/default")
    for name, labels in (("coredns", coredns.LABELS), ("traefik", traefik.LABELS)):
        selector = quote(",".join(f"{k}={v}" for k, v in labels.items()))
        pods = api.get(f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector={selector}")["items"]
        containers = [c for x in pods for c in x["status"].get("containerStatuses", [])]
        if not any(
            x["ready"] and x["state"].get("running", {}).get("startedAt", "") >= start
            for x in containers
        ):
            return f"{name} is not ready"
    _connect_tls(node.ip)
    return ""


def _connect_tls(ip: str) -> None:
    unverified = ssl.create_default_context()
    # Traefik serves its self-signed certificate until an Ingress has another.
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    with socket.create_connection((ip, 443), timeout=2) as plain, unverified.wrap_socket(plain):
        pass
