"""The node's configuration: certificates, users, and the configuration files of its components."""

from __future__ import annotations

import csv
import json
import secrets
from pathlib import Path

from sandbox import pki
from sandbox.build.images import IMAGES
from sandbox.files import write_private, write_public
from sandbox.k3s import registries, systemctl
from sandbox.k3s.coredns import DNS_IP, DOMAIN
from sandbox.k3s.kube_router import USER as KUBE_ROUTER_USER
from sandbox.kube_api import kubeconfig
from sandbox.layout import Layout

NAME = "node"
"""The node's name in the cluster."""

PODS = "10.42.0.0/24"
"""The network of the node's pods; the first node's in k3s."""

SERVICES = "10.43.0.0/16"
"""The network of Services; k3s' default."""

CNI_BIN = "/usr/lib/cni"
"""The folder of Debian's package containernetworking-plugins."""

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"

_API_SERVICE_IP = "10.43.0.1"
"""The Service ``kubernetes``: the API server gives it the first address of :data:`SERVICES`."""

_USERS = {
    "admin": ("admin", "system:masters"),
    "controllers": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NAME}", "system:nodes"),
    "proxy": ("system:kube-proxy", ""),
    "kube-router": (KUBE_ROUTER_USER, ""),
}
"""User and group of each client of the API server; Kubernetes binds its own roles to these names:
https://kubernetes.io/docs/reference/access-authn-authz/rbac/#core-component-roles."""


def folder(layout: Layout) -> Path:
    """Return the folder of the node's data and configuration."""
    return layout.state / "node"


def images_folder(layout: Layout) -> Path:
    """Return the folder of containerd's images and containers."""
    return folder(layout) / "containerd"


def write(layout: Layout) -> None:
    """Write the node's certificates, users and configuration files; existing secrets stay."""
    pki.authority(layout.pki)
    service_names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    pki.issue(
        layout.pki,
        "kube-apiserver",
        *("localhost", *service_names, f"{service_names[-1]}.{DOMAIN}"),
        *("127.0.0.1", _API_SERVICE_IP, layout.node_ip),
    )
    pki.issue(layout.pki, "kubelet-client", organization="system:masters")
    pki.key_pair(layout.pki, "service-accounts")
    for name, token in _tokens(layout).items():
        target = layout.kubeconfig if name == "admin" else file(layout, f"{name}.kubeconfig")
        write_private(target, kubeconfig(layout.node_ip, layout.pki / "ca.crt", token))
    for name, content in _configs(layout).items():
        write_public(file(layout, name), content)
    node = folder(layout)
    stand_in = node / "sbin" / "systemctl"
    write_public(stand_in, systemctl.script(layout, node))
    stand_in.chmod(0o755)
    registries.apply(node / "rancher" / "k3s", node / "certs.d", layout.docker_io_endpoint)


def file(layout: Layout, name: str) -> Path:
    """Return the path of a configuration file."""
    return folder(layout) / "config" / name


def _tokens(layout: Layout) -> dict[str, str]:
    """Return each user's token; generate those that do not exist."""
    tokens_file = file(layout, "tokens.csv")
    known = {}
    if tokens_file.exists():
        lines = tokens_file.read_text().splitlines()
        known = {uid: token for token, _user, uid, *_ in csv.reader(lines)}
    tokens = {name: known.get(name) or secrets.token_hex(16) for name in _USERS}
    # https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file
    rows = [f'{tokens[name]},{user},{name},"{group}"\n' for name, (user, group) in _USERS.items()]
    write_private(tokens_file, "".join(rows))
    return tokens


def _configs(layout: Layout) -> dict[str, str]:
    config = folder(layout) / "config"
    kubelet = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
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
        "enforceNodeAllocatable": [],
        "volumePluginDir": str(folder(layout) / "volume-plugins"),
        # Changed Secrets reach their pods within seconds instead of a minute.
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "5s",
    }
    proxy = {
        "kind": "KubeProxyConfiguration",
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "mode": "iptables",
        "clusterCIDR": PODS,
        "hostnameOverride": NAME,
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
        "containerd.toml": _containerd(layout),
        "cni/10-bridge.conflist": json.dumps(_CNI, indent=1),
    }


_CNI = {
    "cniVersion": "0.4.0",
    "name": "sandbox",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                # In memory, since leases end with the pods.
                "dataDir": "/run/cni-leases",
                "ranges": [[{"subnet": PODS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
"""https://www.cni.dev/plugins/current/main/bridge/ and .../meta/portmap/ (host ports)."""


def _containerd(layout: Layout) -> str:
    def quote(value: object) -> str:
        # A JSON string is a basic string of TOML (https://toml.io/en/v1.0.0#string).
        return json.dumps(str(value))

    return f"""\
version = 2
root = {quote(images_folder(layout))}
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt"]
[grpc]
  address = {quote(CONTAINERD_SOCKET)}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = {quote(IMAGES["pause"].ref)}
  disable_apparmor = true
  # Where the sandbox lacks CAP_SYS_RESOURCE, a lower score is refused and no pod starts.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = {quote(CNI_BIN)}
    conf_dir = {quote(folder(layout) / "config" / "cni")}
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = {quote(folder(layout) / "certs.d")}
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""
