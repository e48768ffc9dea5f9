"""Rules for what reaches the registry, and what it reaches."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from components.network import API_SERVER, LINK_LOCAL
from policy.pods import pod_spec
from policy.reading import UNKNOWN, at, elements, fits
from scripts.client.why_missing import CHALLENGE_PATH

REDIRECT = "redirect"
"""The port of the registry's Service that only redirects to HTTPS."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LINK_LOCAL = [ipaddress.ip_network(text) for text in LINK_LOCAL.values()]

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
"""https://www.rfc-editor.org/rfc/rfc4291#section-2.5.5.2"""

_ROUTER = "traefik.ingress.kubernetes.io/router"


def plain_http(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield how clients would send passwords without TLS."""
    spec = at(inputs, "spec")
    match inputs.get("kind"):
        case "IngressRoute" | "IngressRouteTCP":
            # Empty means TLS, too, with what Traefik has for all hosts.
            if at(spec, "tls") is None:
                yield "spec.tls: expected TLS"
        case "Ingress":
            if not _takes_no_passwords(spec):
                yield from _plain_ingress(spec, at(inputs, "metadata", "annotations"))
        case "HTTPRoute":
            yield "spec.parentRefs: expected no Gateway: only its listener tells whether it has TLS"
        case "Service":
            if not fits(at(spec, "type"), None, "ClusterIP"):
                yield "spec.type: expected ClusterIP: others lead around the ingress and its TLS"
            if not fits(at(spec, "externalIPs"), None, []):
                yield "spec.externalIPs: expected none: they lead around the ingress and its TLS"


def _plain_ingress(spec: Any, annotations: Any) -> Iterator[str]:
    if not fits(at(annotations, f"{_ROUTER}.tls"), "true") and not _has_tls(spec):
        yield "spec.tls: expected TLS for each host, or a backend that redirects to it"
    if not fits(at(annotations, f"{_ROUTER}.entrypoints"), None, "websecure"):
        yield f"metadata.annotations[{_ROUTER}.entrypoints]: expected websecure alone"


def _has_tls(spec: Any) -> bool:
    """Return whether each host of an Ingress has a certificate; one for no host is for all."""
    tls, rules = at(spec, "tls"), at(spec, "rules")
    if UNKNOWN in (tls, rules):
        return True
    secured = [host for entry in elements(tls) for host in elements(at(entry, "hosts")) or [None]]
    hosts = [at(rule, "host") for rule in elements(rules)] or [None]
    return bool(secured) and (
        not {None, UNKNOWN}.isdisjoint(secured) or all(fits(host, *secured) for host in hosts)
    )


def _takes_no_passwords(spec: Any) -> bool:
    """Return whether all backends only redirect, or respond to an ACME server."""
    paths = [
        path for rule in elements(at(spec, "rules")) for path in elements(at(rule, "http", "paths"))
    ]
    backends = [at(path, "backend") for path in paths if at(path, "path") != CHALLENGE_PATH]
    if at(spec, "defaultBackend"):
        backends.append(at(spec, "defaultBackend"))
    ports = [at(backend, "service", "port", "name") for backend in backends]
    return bool(paths or backends) and all(fits(port, REDIRECT) for port in ports)


def link_local(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield where a network policy lets pods ask a cloud for credentials."""
    if inputs.get("kind") != "NetworkPolicy":
        return
    for rule in elements(at(inputs, "spec", "egress")):
        if at(rule, "to") in (None, []) and not _is_api_server_only(rule):
            yield (
                "spec.egress: expected each rule to say where to, but for the API server's port "
                f"{API_SERVER}"
            )
        for peer in elements(at(rule, "to")):
            block = at(peer, "ipBlock")
            cidr, excepted = at(block, "cidr"), at(block, "except") or []
            # What is unknown may be the exception.
            if not block or UNKNOWN in (block, cidr, excepted) or UNKNOWN in excepted:
                continue
            for network in _LINK_LOCAL:
                if _reaches(cidr, excepted, network):
                    yield f"spec.egress: expected {cidr} except {network}"


def _is_api_server_only(rule: Any) -> bool:
    """Return whether a rule is for the API server's port, where no cloud hands out credentials."""
    ports = list(elements(at(rule, "ports")))
    return bool(ports) and all(
        fits(at(port, "port"), API_SERVER) and fits(at(port, "endPort"), None) for port in ports
    )


def _reaches(cidr: str, excepted: list[str], target: _Network) -> bool:
    """Return whether any address of a network is in a block, or the block is not understood."""
    try:
        block, *holes = (_network(text) for text in (cidr, *excepted))
    except ValueError:
        return True
    if block.version != target.version or not block.overlaps(target):
        return False
    narrower = max(block, target, key=lambda network: network.prefixlen)
    return not _covered(narrower, [hole for hole in holes if hole.version == target.version])


def _network(text: str) -> _Network:
    """Return a network as Linux sees it: IPv4 in IPv6's notation is IPv4."""
    network = ipaddress.ip_network(text, strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        host = int(network.network_address) & 0xFFFFFFFF
        return ipaddress.IPv4Network((host, network.prefixlen - _MAPPED.prefixlen))
    return network


def _covered(network: _Network, holes: list[_Network]) -> bool:
    """Return whether each address of a network is in one of others."""
    inside = [hole for hole in holes if hole.overlaps(network)]
    if any(hole.prefixlen <= network.prefixlen for hole in inside):
        return True
    return bool(inside) and all(_covered(half, inside) for half in network.subnets())


def open_namespaces(objects: Iterable[dict[str, Any]]) -> set[str]:
    """Return the namespaces of pods in which traffic is not denied by default."""
    objects = list(objects)
    closed = {at(x, "metadata", "namespace") for x in objects if _denies_all(x)}
    used = {at(x, "metadata", "namespace") or "default" for x in objects if pod_spec(x) is not None}
    # What is unknown may be any of them.
    return set() if UNKNOWN in closed else used - closed - {UNKNOWN}


def _denies_all(inputs: dict[str, Any]) -> bool:
    spec = at(inputs, "spec")
    return (
        inputs.get("kind") == "NetworkPolicy"
        and at(spec, "podSelector") in ({}, UNKNOWN)
        and set(elements(at(spec, "policyTypes"))) == {"Ingress", "Egress"}
        and not elements(at(spec, "ingress"))
        and not elements(at(spec, "egress"))
    )
