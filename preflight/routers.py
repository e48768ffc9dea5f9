"""Who else leads the registry's hostname somewhere: Ingresses, and routes of Traefik's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from settings import Settings
from settings.commands import set_command
from settings.names import ROUTE_PRIORITY
from settings.problems import Problem
from settings.tls import TlsNone

_ROUTER = "traefik.ingress.kubernetes.io/router"

_QUOTED = r"""`[^`]*`|"(?:[^"\\]|\\.)*\""""
_HOST_MATCHERS = re.compile(
    rf"(?<!\w)(!\s*)?Host(?:SNI)?(Regexp)?\s*\(\s*((?:{_QUOTED})(?:\s*,\s*(?:{_QUOTED}))*)",
    re.IGNORECASE,
)
"""What of a rule is about the hostname: HTTP and TCP, with several values as in Traefik 2.
https://github.com/traefik/traefik/blob/v3.7.13/pkg/rules/parser.go"""

_LITERAL = re.compile(r"\^((?:[\w-]|\\\.)+)\$")
"""A regular expression of one name, as in the route of another registry. Others may match any: Go's
expressions are not quite Python's."""


@dataclass(frozen=True)
class Served:
    """What leads the registry's hostname somewhere, and what to say if that is wrong."""

    namespace: str
    problem: Problem


@dataclass(frozen=True)
class Router:
    """What Traefik knows of a rule, as far as the hostname is concerned.

    Attributes:
        hosts: The hostnames and wildcards that it names, in lower case.
        patterns: The regular expressions of hostnames.
        priority: Its explicit priority; 0 if it is the rule's length.
        before_tcp: Whether its hosts go before TCP routes: where they are HTTP's on port 443.
    """

    kind: str
    namespace: str
    name: str
    hosts: frozenset[str]
    patterns: tuple[str, ...]
    priority: int
    before_tcp: bool

    @property
    def object(self) -> str:
        """Kind, namespace and name."""
        return f"{self.kind} {self.namespace}/{self.name}"


def of_ingresses(settings: Settings, items: Iterable[dict[str, Any]]) -> list[Router]:
    """Return what Ingresses say of hostnames."""
    routers = []
    for item in items:
        annotations = item["metadata"].get("annotations", {})
        points = annotations.get(f"{_ROUTER}.entrypoints", "websecure").split(",")
        priority = annotations.get(f"{_ROUTER}.priority", "")
        routers.append(
            Router(
                "Ingress",
                item["metadata"]["namespace"],
                item["metadata"]["name"],
                frozenset(rule.get("host", "").lower() for rule in item["spec"].get("rules", [])),
                (),
                int(priority) if priority.isdecimal() else 0,
                "websecure" in points
                and annotations.get(f"{_ROUTER}.rulesyntax") != "v2"
                and item["spec"].get("ingressClassName") in (None, settings.ingress.class_name),
            )
        )
    return routers


def of_routes(_: Settings, items: Iterable[dict[str, Any]]) -> list[Router]:
    """Return what routes of Traefik's say of hostnames."""
    return [
        Router(
            item["kind"],
            item["metadata"]["namespace"],
            item["metadata"]["name"],
            *_hosts(route.get("match", "")),
            route.get("priority", 0),
            item["kind"] == "IngressRoute"
            and "websecure" in (item["spec"].get("entryPoints") or ["websecure"])
            and route.get("syntax") != "v2",
        )
        for item in items
        for route in item["spec"].get("routes", [])
    ]


def _hosts(rule: str) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the hosts and the regular expressions of hosts that a rule is for."""
    hosts, patterns = set[str](), list[str]()
    for excluded, regexp, values in _HOST_MATCHERS.findall(rule):
        for quoted in re.findall(_QUOTED, values):
            value = quoted[1:-1]
            if quoted[0] == '"':
                value = re.sub(r"\\(.)", r"\1", value)
            if not excluded:
                patterns.append(value) if regexp else hosts.add(value.lower())
    return frozenset(hosts), tuple(patterns)


def served(settings: Settings, routers: Iterable[Router]) -> list[Served]:
    """Return what serves the very hostname from other namespaces."""
    objects = {
        router.object: router
        for router in routers
        if router.namespace != settings.namespace and settings.hostname in router.hosts
    }
    return [
        Served(
            router.namespace,
            Problem(
                "hostname",
                json.dumps(settings.hostname),
                f"the {name} serves this hostname already",
                f"{set_command(['hostname'])}, or delete that {router.kind}",
            ),
        )
        for name, router in objects.items()
    ]


def warnings(settings: Settings, routers: Iterable[Router]) -> list[str]:
    """Return what takes requests from the registry, or may take them, with the fix."""
    texts: dict[str, None] = {}  # A set in order: several rules of one object.
    for router in routers if settings.ingress.controller == "traefik" else ():
        if _takes_from_tcp(settings, router):
            texts[_slow(settings, router)] = None
        if (
            router.priority >= ROUTE_PRIORITY
            and router.namespace != settings.namespace
            and _may_match(settings, router)
        ):
            texts[
                f"the {router.object} has the priority {router.priority}, and may take requests "
                f"and passwords from {settings.hostname}, whose routes have {ROUTE_PRIORITY}; "
                "fix: give it a lower one"
            ] = None
    return list(texts)


def _takes_from_tcp(settings: Settings, router: Router) -> bool:
    by_tcp = settings.ingress.by_tcp_route and settings.tls.mode != "none"
    return by_tcp and router.before_tcp and _wildcard(settings) in router.hosts


def _slow(settings: Settings, router: Router) -> str:
    wildcard, tls = _wildcard(settings), settings.tls
    if router.kind == "Ingress":
        fix = (
            f"kubectl --namespace {router.namespace} annotate ingress {router.name} "
            f"{_ROUTER}.rulesyntax=v2"
        )
    else:
        pattern = re.escape(wildcard[1:])
        fix = f"write HostRegexp(`^[^.]+{pattern}$`) in it instead of Host(`{wildcard}`)"
    effect = (
        "no client reaches the registry (status 418)"
        if not isinstance(tls, TlsNone) and tls.client_ca
        else "pushes of layers that take more than 60 s are cut"
    )
    return (
        f"the {router.object} serves {wildcard} on port 443; from Traefik 3.7 on that goes before "
        f"the TCP route of {settings.hostname}, and {effect}; fix: {fix}"
    )


def _wildcard(settings: Settings) -> str:
    """Return the only wildcard that is for the hostname: it stands for one label."""
    return f"*.{settings.hostname.partition('.')[2]}"


def _may_match(settings: Settings, router: Router) -> bool:
    if not router.hosts and not router.patterns:
        return True
    for_it = {settings.hostname, _wildcard(settings), "*", ""}
    return not for_it.isdisjoint(router.hosts) or any(
        not (literal := _LITERAL.fullmatch(pattern))
        or literal[1].replace(r"\.", ".") == settings.hostname
        for pattern in router.patterns
    )
