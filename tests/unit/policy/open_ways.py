"""Programs made to let in, or out, what docs/policies.md says is kept."""

from __future__ import annotations

import ipaddress
import itertools
import random
from collections.abc import Iterator
from typing import Any

from tests.unit.policy.breaches import Breach, Stack, resource, workloads
from tests.unit.policy.test_pods import POD

LINK_LOCAL = [ipaddress.ip_network(text) for text in ("169.254.0.0/16", "fe80::/10")]


def plain() -> Iterator[Breach]:
    yield "HTTPRoute", {"spec": {}}
    for kind in ("IngressRoute", "IngressRouteTCP"):
        yield kind, {"spec": {"entryPoints": ["websecure"]}}
        yield kind, {"spec": {"entryPoints": ["websecure"], "tls": None}}
    for address in ("203.0.113.1", "10.0.0.1", "::1"):
        yield "Service", {"spec": {"externalIPs": [address]}}
        yield "Service", {"spec": {"type": "ClusterIP", "externalIPs": ["10.0.0.2", address]}}
    for reach in ("NodePort", "LoadBalancer", "ExternalName"):
        yield "Service", {"spec": {"type": reach}}
    router = "traefik.ingress.kubernetes.io/router"
    backend = {"service": {"name": "registry", "port": {"name": "http"}}}
    redirect = {"service": {"name": "registry", "port": {"name": "redirect"}}}
    certificates: list[Any] = [
        None,
        [],
        [{"hosts": ["b.c"]}],
        [{"hosts": ["b.c"]}, {"hosts": ["d"]}],
    ]
    secured = [{"hosts": ["a.b"], "secretName": "x"}]
    annotations: list[dict[str, str]] = [
        {f"{router}.entrypoints": "web"},
        {f"{router}.entrypoints": "websecure,web"},
    ]
    for host, first in itertools.product(("a.b", None), (backend, redirect)):
        paths = [{"path": "/v2", "backend": first}, {"path": "/", "backend": backend}]
        for spec in (
            {"rules": [{"host": host, "http": {"paths": paths}}]},
            {"rules": [{"host": host, "http": {"paths": paths[:1]}}], "defaultBackend": backend},
        ):
            for tls in certificates:
                yield "Ingress", {"spec": {**spec, "tls": tls}}
            for annotated in annotations:
                metadata = {"annotations": annotated}
                yield "Ingress", {"metadata": metadata, "spec": {**spec, "tls": secured}}


def to_link_local() -> Iterator[Breach]:
    """Yield policies that let through one link-local address, which no exception is of."""
    chance = random.Random(1)  # noqa: S311 - the same in each run
    for ports in ([443], [6443, 443]):
        rule = {"ports": [{"port": port} for port in ports]}
        yield "NetworkPolicy", {"spec": {"egress": [rule]}}
    yield "NetworkPolicy", {"spec": {"egress": [{"ports": [{"port": 6443, "endPort": 9000}]}]}}
    for target, _ in itertools.product(LINK_LOCAL, range(1000)):
        bits = target.max_prefixlen
        address = int(target.network_address) + chance.randrange(target.num_addresses)
        cidr = around(address, chance.randint(0, bits), target.version, chance)
        holes = [
            # A network without the address: in one bit, which is within its prefix, it differs.
            around(address ^ 1 << bits - bit, chance.randint(bit, bits), target.version, chance)
            for bit in (chance.randint(1, bits) for _ in range(chance.randint(0, 4)))
        ]
        harmless = [{"podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]
        peers = [*harmless, {"ipBlock": {"cidr": cidr, "except": holes}}]
        yield "NetworkPolicy", {"spec": {"egress": [{"to": harmless}, {"to": peers}]}}


def around(address: int, prefix: int, version: int, chance: random.Random) -> str:
    """Return the network of an address, in one of its spellings."""
    if version == 4:
        network = ipaddress.IPv4Network((address, prefix), strict=False)
        mapped = ipaddress.IPv6Address(0xFFFF << 32 | int(network.network_address))
        return chance.choice(
            [
                str(network),
                f"{ipaddress.IPv4Address(address)}/{prefix}",
                f"{mapped}/{prefix + 96}",
                f"::FFFF:{network.network_address}/{prefix + 96}",
            ]
        )
    wide = ipaddress.IPv6Network((address, prefix), strict=False)
    return chance.choice(
        [str(wide), wide.exploded.upper(), f"{ipaddress.IPv6Address(address)}/{prefix}"]
    )


def past_link_local() -> Iterator[Breach]:
    """Yield policies that reach much, and no link-local address: all of those are excepted."""
    chance = random.Random(2)  # noqa: S311 - the same in each run
    for target, _ in itertools.product(LINK_LOCAL, range(300)):
        parts = [target]
        for _ in range(chance.randint(0, 6)):
            parts += parts.pop(chance.randrange(len(parts))).subnets()
        holes = [
            around(int(part.network_address), part.prefixlen, part.version, chance)
            for part in parts
        ]
        everything = around(0, 0, target.version, chance)
        cidr = chance.choice([everything, str(target.supernet(chance.randint(1, 8)))])
        chance.shuffle(holes)
        block = {"cidr": cidr, "except": holes}
        yield "NetworkPolicy", {"spec": {"egress": [{"to": [{"ipBlock": block}]}]}}
    for cidr in ("203.0.113.0/24", "169.253.0.0/16", "169.255.0.0/16", "fd00::/8", "fe00::/9"):
        yield "NetworkPolicy", {"spec": {"egress": [{"to": [{"ipBlock": {"cidr": cidr}}]}]}}


def open_namespaces() -> Iterator[Stack]:
    """Yield stacks with pods in a namespace, and no policy there that denies all."""
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    changes: list[dict[str, Any]] = [
        {"podSelector": None},
        {"podSelector": {"matchLabels": {"a": "b"}}},
        *({"policyTypes": types} for types in (["Ingress"], ["Egress"], [], None)),
        {"ingress": [{}]},
        {"ingress": [{"from": [{"podSelector": {}}]}]},
        {"egress": [{}]},
        {"egress": [{"to": [{"podSelector": {}}]}]},
    ]
    policies = [None, ("other", closed), *(("registry", closed | change) for change in changes)]
    for (kind, inputs), policy in itertools.product(workloads(POD), policies):
        stack = [resource(kind, {"metadata": {"namespace": "registry"}, **inputs})]
        if policy:
            namespace, spec = policy
            metadata = {"namespace": namespace}
            stack.append(resource("NetworkPolicy", {"metadata": metadata, "spec": spec}))
        yield stack
