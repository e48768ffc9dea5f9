"""A node's configuration: certificates, users, and the configuration files of its components."""

from __future__ import annotations

import csv
import json
import secrets
from pathlib import Path
from typing import Any

from sandbox import pki
from sandbox.build.images import IMAGES
from sandbox.files import write_private, write_public
from sandbox.k3s import registries, systemctl
from sandbox.k3s.coredns import DNS_IP, DOMAIN
from sandbox.k3s.kube_router import USER as KUBE_ROUTER_USER
from sandbox.k3s.systemctl import CONTAINERD_SOCKET
from sandbox.kube_api import kubeconfig
from sandbox.layout import Layout, Node

PODS = "10.42.0.0/16"
"""The network of the pods of all nodes; k3s' default."""

SERVICES = "10.43.0.0/16"
"""The network of Services; k3s' default."""

CNI_BIN = "/usr/lib/cni"
"""The folder of Debian's package containernetworking-plugins."""

DATA_OF_K3S = "rancher-data/k3s"
"""Where a node's folder has what is /var/lib/rancher/k3s on the node."""

_API_SERVICE_IP = "10.43.0.1"
"""The Service ``kubernetes``: the API server gives it the first address of :data:`SERVICES`."""

_USERS = {
    "admin": ("admin", "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet-node": ("system:node:node", "system:nodes"),
    "kubelet-node-2": ("system:node:node-2", "system:nodes"),
    "proxy": ("system:kube-proxy", ""),
    "kube-router": (KUBE_ROUTER_USER, ""),
}
"""User and group of each client of the API server; Kubernetes binds its own roles to these names:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles."""


def images_folder(node: Node) -> Path:
    """Return the folder of containerd's images and containers."""
    return node.folder / "containerd"


def write(layout: Layout) -> None:
    """Write the certificates and users of the cluster, and its first node; secrets stay."""
    pki.authority(layout.pki)
    service_names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    pki.issue(
        layout.pki,
        "kube-apiserver",
        *("localhost", *service_names, f"{service_names[-1]}.{DOMAIN}"),
        # The last one for what comes by the second node, as with k3s' --tls-san.
        *("127.0.0.1", _API_SERVICE_IP, layout.node_ip, layout.second_node.ip),
    )
    pki.issue(layout.pki, "kubelet-client", organization="system:masters")
    pki.key_pair(layout.pki, "service-accounts")
    write_private(layout.kubeconfig, _kubeconfig(layout, "admin"))
    for user in ("controllers", "scheduler"):
        write_private(file(layout.node, f"{user}.kubeconfig"), _kubeconfig(layout, user))
    write_node(layout, layout.node)


def write_node(layout: Layout, node: Node) -> None:
    """Write what every node has: its users, its configuration files, and k3s' parts."""
    users = {"kubelet": f"kubelet-{node.name}", "proxy": "proxy", "kube-router": "kube-router"}
    for name, user in users.items():
        write_private(file(node, f"{name}.kubeconfig"), _kubeconfig(layout, user))
    for name, content in _configs(layout, node).items():
        write_public(file(node, name), content)
    stand_in = node.folder / "sbin" / "systemctl"
    write_public(stand_in, systemctl.script(layout, node, containerd_process(layout, node)))
    stand_in.chmod(0o755)


def containerd_process(layout: Layout, node: Node) -> str:
    """Return the name of the process that is a node's containerd."""
    return "containerd" if node == layout.node else f"{node.name}-containerd"


def containerd_folder(node: Node) -> Path:
    """Return the folder of containerd's configuration, which k3s writes."""
    return node.folder / DATA_OF_K3S / registries.CONTAINERD


def file(node: Node, name: str) -> Path:
    """Return the path of a configuration file."""
    return node.folder / "config" / name


def _kubeconfig(layout: Layout, user: str) -> str:
    return kubeconfig(layout.node_ip, layout.pki / "ca.crt", _tokens(layout)[user])


def _tokens(layout: Layout) -> dict[str, str]:
    """Return each user's token; generate those that do not exist."""
    tokens_file = file(layout.node, "tokens.csv")
    known = {}
    if tokens_file.exists():
        lines = tokens_file.read_text().splitlines()
        known = {uid: token for token, _user, uid, *_ in csv.reader(lines)}
    tokens = {name: known.get(name) or secrets.token_hex(16) for name in _USERS}
    # https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
    rows = [f'{tokens[name]},{user},{name},"{group}"\n' for name, (user, group) in _USERS.items()]
    write_private(tokens_file, "".join(rows))
    return tokens


def _configs(layout: Layout, node: Node) -> dict[str, str]:
    config = node.folder / "config"
    kubelet = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(layout.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [DNS_IP],
        "clusterDomain": DOMAIN,
        "resolvConf": str(config / "resolv.conf"),
        # A developer's full disk must not evict pods or delete images: these are in no registry,
        # and could not be pulled again.
        "evictionHard": {
            "memory.available": "50Mi",
            **dict.fromkeys(
                (
                    f"{fs}.{what}"
                    for fs in ("nodefs", "imagefs")
                    for what in ("available", "inodesFree")
                ),
                "0%",
            ),
        },
        "imageGCHighThresholdPercent": 100,
        # The sandbox's own images are in no registry. From 1.35 on the kubelet keeps an image that
        # it pulled with a Secret from pods without it, also under another name: tests push these.
        "imagePullCredentialsVerificationPolicy": "NeverVerifyAllowlistedImages",
        "preloadedImagesVerificationAllowlist": ["localhost/*"],
        "enforceNodeAllocatable": [],
        "volumePluginDir": str(node.folder / "volume-plugins"),
        # Changed Secrets reach their pods within seconds instead of a minute.
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
    }
    proxy = {
        "kind": "KubeProxyConfiguration",
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": node.name,
        "clientConnection": {"kubeconfig": str(config / "proxy.kubeconfig")},
        # 0 leaves them alone: they are machine-wide, and read-only in a network namespace.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "iptables": {"minSyncPeriod": "100ms"},
    }
    return {
        "kubelet.json": json.dumps(kubelet, indent=1),
        "proxy.json": json.dumps(proxy, indent=1),
        "resolv.conf": f"nameserver {DNS_IP}\n",
        "containerd.toml": _containerd(node),
        "cni/10-bridge.conflist": json.dumps(_cni(node), indent=1),
    }


def _cni(node: Node) -> dict[str, Any]:
    """Return https://www.cni.dev/plugins/current/main/bridge/ and .../meta/portmap/ (host ports).

    Without ``ipMasq``: it hides the pods of one node from the network policies of the other one.
    """
    return {
        "cniVersion": "0.4.0",
        "name": "sandbox",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": True,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    # In memory, since leases end with the pods.
                    "dataDir": "/run/cni-leases",
                    "ranges": [[{"subnet": node.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _containerd(node: Node) -> str:
    def quote(value: object) -> str:
        # A JSON string is a basic string of TOML (https://toml.io/en/v1.0.0#string).
        return json.dumps(str(value))

    # https://github.com/containerd/containerd/blob/v2.3.7/docs/cri/config.md
    return f"""\
version = 3
root = {quote(images_folder(node))}
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = {quote(CONTAINERD_SOCKET)}
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = {quote(IMAGES["pause"].ref)}
[plugins."io.containerd.cri.v1.images".registry]
  config_path = {quote(containerd_folder(node) / "certs.d")}
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  # Where the sandbox lacks CAP_SYS_RESOURCE, a lower score is refused and no pod starts.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [{quote(CNI_BIN)}]
    conf_dir = {quote(node.folder / "config" / "cni")}
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""
