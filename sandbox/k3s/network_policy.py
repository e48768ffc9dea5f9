"""Stand-in for k3s' NetworkPolicy controller (kube-router), which is not to be had as a module.

``python -m sandbox.k3s.network_policy <kubeconfig>`` runs in the node's network namespace and turns
policies into iptables rules, as kube-router does: what no policy allows is rejected, what is
established passes, and so does what the node itself sends (probes). IPv4 and one node only; a new
pod's or policy's rules follow within a fraction of a second, not before its first packet.
"""

from __future__ import annotations

import ipaddress
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.k3s.rbac import allow, cluster_role
from sandbox.kube_api import KubeApi

USER = "sandbox:network-policy"
"""The stand-in's name to the API server."""

_TOP, _EGRESS, _INGRESS = "SANDBOX-POLICY", "SANDBOX-EGRESS", "SANDBOX-INGRESS"

_ANYWHERE = "0.0.0.0/0"

_LISTS = {
    "namespaces": "/api/v1/namespaces",
    "pods": "/api/v1/pods",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}

_CALM = 0.05
"""Seconds in which changes that come together are waited for."""

_RETRY = 1.0
"""Seconds after a failure."""

Object = dict[str, Any]
"""An API object; its shape is Kubernetes'."""


@dataclass(frozen=True)
class _Pod:
    namespace: str
    labels: dict[str, str]
    ip: str
    ports: dict[str, int]


@dataclass(frozen=True)
class _Peer:
    """Whom a rule is about: a network, and the ports that have names there."""

    network: str
    ports: dict[str, int]


def render(namespaces: Sequence[Object], pods: Sequence[Object], policies: Sequence[Object]) -> str:
    """Render the rules that enforce the policies, as ``iptables-restore --noflush`` takes them.

    Args:
        namespaces: All namespaces.
        pods: All pods; those without an address of their own are passed over.
        policies: All policies, with ``policyTypes`` filled in, as the API server does.

    Returns:
        A whole ``*filter`` section that replaces the chains it names, each in one step.
    """
    labels = {x["metadata"]["name"]: x["metadata"].get("labels", {}) for x in namespaces}
    known = sorted(_with_address(pods), key=lambda x: ipaddress.ip_address(x.ip))
    egress: list[str] = []
    ingress: list[str] = []
    for pod in known:
        own = [x for x in policies if _selects(x, pod)]
        for kind, rules in (("Egress", egress), ("Ingress", ingress)):
            if acting := [x for x in own if kind in x["spec"]["policyTypes"]]:
                for policy in acting:
                    rules += _allowed(kind, pod, policy, known, labels)
                rules.append(f"-A {_chain(kind)} {_near(kind)} {pod.ip}/32 -j REJECT")
    return "\n".join(
        [
            "*filter",
            *(f":{x} - [0:0]" for x in (_TOP, _EGRESS, _INGRESS)),
            f"-A {_TOP} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
            f"-A {_TOP} -j {_EGRESS}",
            f"-A {_TOP} -j {_INGRESS}",
            # The same pair of peer and port allowed twice is one rule.
            *dict.fromkeys(egress),
            *dict.fromkeys(ingress),
            "COMMIT",
            "",
        ]
    )


def _chain(kind: str) -> str:
    return _EGRESS if kind == "Egress" else _INGRESS


def _near(kind: str) -> str:
    """Give the end of a connection at which the selected pod is."""
    return "-s" if kind == "Egress" else "-d"


def _far(kind: str) -> str:
    return "-d" if kind == "Egress" else "-s"


def _with_address(pods: Sequence[Object]) -> Iterator[_Pod]:
    for pod in pods:
        # A host network pod has the node's address, and a finished one's may be another's now.
        ended = pod["status"].get("phase") in ("Succeeded", "Failed")
        if ended or pod["spec"].get("hostNetwork") or not pod["status"].get("podIP"):
            continue
        yield _Pod(
            pod["metadata"]["namespace"],
            pod["metadata"].get("labels", {}),
            pod["status"]["podIP"],
            {
                port["name"]: port["containerPort"]
                for container in pod["spec"]["containers"]
                for port in container.get("ports", [])
                if "name" in port
            },
        )


def _selects(policy: Object, pod: _Pod) -> bool:
    same = policy["metadata"]["namespace"] == pod.namespace
    return same and _matches(policy["spec"].get("podSelector", {}), pod.labels)


def _matches(selector: Object, labels: dict[str, str]) -> bool:
    """Judge a label selector: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."""
    if any(labels.get(k) != v for k, v in selector.get("matchLabels", {}).items()):
        return False
    for x in selector.get("matchExpressions", []):
        has, value = x["key"] in labels, labels.get(x["key"])
        judged = {
            "In": has and value in x.get("values", []),
            "NotIn": not has or value not in x.get("values", []),
            "Exists": has,
            "DoesNotExist": not has,
        }
        if not judged[x["operator"]]:
            return False
    return True


def _allowed(
    kind: str,
    pod: _Pod,
    policy: Object,
    pods: list[_Pod],
    namespace_labels: dict[str, dict[str, str]],
) -> Iterator[str]:
    """Render what a policy allows a pod, in one direction."""
    rules, ends = ("egress", "to") if kind == "Egress" else ("ingress", "from")
    for rule in policy["spec"].get(rules, []):
        peers = list(_peers(policy, rule.get(ends), pods, namespace_labels))
        for port in rule.get("ports") or [None]:
            named = port is not None and isinstance(port.get("port"), str)
            # A port's name is known at the end that listens; outside of the cluster nowhere.
            if named and kind == "Egress" and not rule.get(ends):
                targets = [_Peer(f"{x.ip}/32", x.ports) for x in pods]
            else:
                targets = peers
            for peer in targets:
                match = _port(port, peer.ports if kind == "Egress" else pod.ports)
                if match is not None:
                    yield (
                        f"-A {_chain(kind)} {_near(kind)} {pod.ip}/32 {_far(kind)} {peer.network}"
                        f"{match} -j RETURN"
                    )


def _peers(
    policy: Object,
    peers: list[Object] | None,
    pods: list[_Pod],
    namespace_labels: dict[str, dict[str, str]],
) -> Iterator[_Peer]:
    if not peers:
        yield _Peer(_ANYWHERE, {})
    for peer in peers or []:
        if "ipBlock" in peer:
            for network in _block(**peer["ipBlock"]):
                yield _Peer(str(network), {})
            continue
        for pod in pods:
            if "namespaceSelector" in peer:
                there = _matches(peer["namespaceSelector"], namespace_labels.get(pod.namespace, {}))
            else:
                there = pod.namespace == policy["metadata"]["namespace"]
            if there and _matches(peer.get("podSelector", {}), pod.labels):
                yield _Peer(f"{pod.ip}/32", pod.ports)


def _block(cidr: str, **other: list[str]) -> list[ipaddress.IPv4Network]:
    """Cut the exceptions out of a network; ``except`` is no name that Python allows."""
    if ":" in cidr:
        return []
    left = [ipaddress.IPv4Network(cidr)]
    for hole in map(ipaddress.IPv4Network, other.get("except", [])):
        parts = ([x] if not x.overlaps(hole) else _cut(x, hole) for x in left)
        left = sorted(x for part in parts for x in part)
    return left


def _cut(
    network: ipaddress.IPv4Network, hole: ipaddress.IPv4Network
) -> list[ipaddress.IPv4Network]:
    return [] if network.subnet_of(hole) else list(network.address_exclude(hole))


def _port(port: Object | None, names: dict[str, int]) -> str | None:
    """Render a port; None when it has a name that nobody there listens under."""
    if port is None:
        return ""
    protocol = f" -p {port.get('protocol', 'TCP').lower()}"
    number = port.get("port")
    if number is None:
        return protocol
    if isinstance(number, str):
        if number not in names:
            return None
        number = names[number]
    end = f":{port['endPort']}" if "endPort" in port else ""
    return f"{protocol} --dport {number}{end}"


def enforce(api: KubeApi) -> None:
    """Keep the rules as the policies want them. Never returns.

    Args:
        api: The API server, as a user who may list and watch namespaces, pods and policies.
    """
    changed = api.follow(_LISTS.values())
    applied = ""
    while True:
        changed.wait()
        time.sleep(_CALM)
        changed.clear()
        try:
            rules = render(*(api.get(path)["items"] for path in _LISTS.values()))
            if rules != applied:
                _apply(rules)
                applied = rules
        except (OSError, subprocess.CalledProcessError) as error:
            print(error, flush=True)
            changed.set()
            time.sleep(_RETRY)


def _apply(rules: str) -> None:
    wait = ["-w", "5"]
    subprocess.run(["iptables-restore", "--noflush", *wait], input=rules, text=True, check=True)
    # What a pod sends to an address of the node itself is INPUT: to the cloud's stand-ins, say.
    for chain in ("FORWARD", "INPUT"):
        jump = [chain, "-j", _TOP]
        if subprocess.run(["iptables", *wait, "-C", *jump], capture_output=True).returncode:
            subprocess.run(["iptables", *wait, "-I", *jump], check=True)
    print(f"{rules.count('-A ')} rules", flush=True)


def manifests() -> list[Any]:
    """Return the RBAC objects that let the stand-in list and watch what policies are about."""
    rules = [
        allow("list watch", "", "namespaces", "pods"),
        allow("list watch", "networking.k8s.io", "networkpolicies"),
    ]
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": USER}
    return cluster_role(USER, rules, subject)


if __name__ == "__main__":
    enforce(KubeApi.of(Path(sys.argv[1])))
