"""Where the hostname leads to, and where it should."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pulumi

from preflight.cluster import INGRESSES, Cluster
from preflight.errors import NotReadyError
from settings import Settings
from settings.commands import set_command
from settings.names import parent_domain
from settings.problems import Problem, SettingsError, shown
from settings.schema import IngressSettings

_FIRST = ("dns", "addresses", 0)


def services(ingress: IngressSettings) -> str:
    """Return the path of the list of Services in the ingress controller's namespace."""
    return f"/api/v1/namespaces/{ingress.controller_namespace}/services"


def dns_addresses(settings: Settings, cluster: Cluster) -> list[str]:
    """Return the addresses for DNS records; without a zone, warn if the hostname leads elsewhere.

    Returns:
        The addresses; none without a zone, or where a preview cannot know them.

    Raises:
        SettingsError: There is a zone, and no address that everybody can reach.
    """
    try:
        addresses = settings.dns.addresses or controller_addresses(
            settings.ingress,
            cluster.items(INGRESSES),
            cluster.items(services(settings.ingress)),
        )
    except NotReadyError as error:
        if not pulumi.runtime.is_dry_run():
            raise SettingsError(error.problem) from None
        if settings.dns.zone:
            pulumi.log.warn("no DNS records are shown: the cluster does not tell its addresses")
        return []
    if not settings.dns.zone:
        if warning := misled(settings.hostname, resolve(settings.hostname), addresses):
            pulumi.log.warn(warning)
        return []
    if not settings.dns.addresses:
        _refuse_private(addresses)
    return addresses


def controller_addresses(
    ingress: IngressSettings, ingresses: list[dict[str, Any]], services: list[dict[str, Any]]
) -> list[str]:
    """Return the addresses that the ingress controller tells.

    An Ingress has them in its status as soon as one has its class, a LoadBalancer before. What
    serves a Gateway is a LoadBalancer, too.
    """
    of_class = [
        x
        for x in ingresses
        if ingress.controller == "traefik"
        and x["spec"].get("ingressClassName") == ingress.class_name
    ]
    with_https = [
        x for x in services if 443 in [port["port"] for port in x["spec"].get("ports", [])]
    ]
    return sorted({*_status(of_class)} or {*_status(with_https)})


def _status(items: list[dict[str, Any]]) -> Iterator[str]:
    for item in items:
        for balancer in item.get("status", {}).get("loadBalancer", {}).get("ingress") or []:
            if "ip" in balancer:
                yield balancer["ip"]


def _refuse_private(addresses: list[str]) -> None:
    private = [x for x in addresses if not ipaddress.ip_address(x).is_global]
    if addresses and not private:
        return
    tells = f"tells addresses that not everybody reaches: {', '.join(private)}"
    public = [x for x in addresses if x not in private]
    raise SettingsError(
        Problem(
            "dns.addresses",
            shown(None),
            f"expected the addresses for dns.zone, as the ingress controller "
            f"{tells if private else 'tells none yet'}",
            " && ".join(
                set_command(("dns", "addresses", index), address)
                for index, address in enumerate(public or private)
            )
            or set_command(_FIRST),
        )
    )


def resolve(hostname: str) -> list[str]:
    """Return the addresses of a hostname, as this machine resolves it; none if it does not."""
    try:
        sockets = socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({str(address[0]) for *_, address in sockets})


def misled(hostname: str, resolved: list[str], addresses: list[str]) -> str:
    """Return why clients do not get to the ingress, and the fix, in one line; empty if they do.

    Args:
        addresses: The addresses that it should lead to; empty if these are not known.
    """
    to = " and ".join(addresses) or "the ingress controller"
    if not resolved:
        zone = parent_domain(hostname)
        return (
            f"{hostname} does not resolve on this machine: add a DNS record that leads it to {to}; "
            f"if DigitalOcean serves the domain: {set_command(('dns', 'zone'), zone)}"
        )
    if addresses and not {*resolved} & {*addresses}:
        return (
            f"{hostname} leads to {' and '.join(resolved)}, and the ingress controller is at {to}: "
            "change its DNS record, or, if something there leads on: "
            f"{set_command(_FIRST, resolved[0])}"
        )
    return ""
