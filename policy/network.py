"""Rules for what reaches the registry, and what it reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from components.ingress.acme_client import CHALLENGE_PATH
from components.registry.network_policies import LINK_LOCAL
from policy.pods import pod_spec
from policy.reading import UNKNOWN, at, elements, fits

REDIRECT = "redirect"
"""The port of the registry's Service that only redirects to HTTPS."""

_ROUTER = "traefik.ingress.kubernetes.io/router"


def plain_http(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield how clients would send passwords without TLS.

    Args:
        inputs: An object.
    """
    kind = inputs.get("kind")
    if kind in ("IngressRoute", "IngressRouteTCP") and not at(inputs, "spec", "tls"):
        yield "spec.tls: expected TLS"
    if kind == "Ingress" and not _takes_no_passwords(inputs):
        annotations = at(inputs, "metadata", "annotations")
        if not at(inputs, "spec", "tls") and not fits(at(annotations, f"{_ROUTER}.tls"), "true"):
            yield "spec.tls: expected TLS, or a backend that redirects to it"
        points = at(annotations, f"{_ROUTER}.entrypoints")
        if not fits(points, None, "websecure"):
            yield f"metadata.annotations[{_ROUTER}.entrypoints]: expected websecure alone"
    if kind == "Service" and not fits(at(inputs, "spec", "type"), None, "ClusterIP"):
        yield "spec.type: expected ClusterIP: anything else leads around the ingress and its TLS"


def _takes_no_passwords(inputs: dict[str, Any]) -> bool:
    """Return whether all backends only redirect, or respond to an ACME server."""
    spec = at(inputs, "spec")
    paths = [
        path for rule in elements(at(spec, "rules")) for path in elements(at(rule, "http", "paths"))
    ]
    backends = [at(path, "backend") for path in paths if at(path, "path") != CHALLENGE_PATH]
    if at(spec, "defaultBackend"):
        backends.append(at(spec, "defaultBackend"))
    ports = [at(backend, "service", "port", "name") for backend in backends]
    return bool(paths or backends) and all(fits(port, REDIRECT) for port in ports)


def link_local(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield where a network policy lets pods ask a cloud for credentials.

    Args:
        inputs: An object.
    """
    if inputs.get("kind") != "NetworkPolicy":
        return
    for rule in elements(at(inputs, "spec", "egress")):
        if at(rule, "to") in (None, []):
            yield "spec.egress: expected each rule to say where to"
        for peer in elements(at(rule, "to")):
            everywhere = at(peer, "ipBlock", "cidr")
            excepted = at(peer, "ipBlock", "except")
            if excepted is UNKNOWN or everywhere not in LINK_LOCAL:
                continue
            if LINK_LOCAL[everywhere] not in elements(excepted):
                yield f"spec.egress: expected {everywhere} except {LINK_LOCAL[everywhere]}"


def open_namespaces(objects: Iterable[dict[str, Any]]) -> set[str]:
    """Return the namespaces of pods in which traffic is not denied by default.

    Args:
        objects: All objects of the stack.
    """
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
