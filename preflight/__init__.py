"""Preflight: refuse what belongs to others, and what cannot work, before anything is created."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import pulumi

from preflight import conflicts, routers
from preflight.addresses import dns_addresses, services
from preflight.cloud import check_token, check_zone
from preflight.cluster import INGRESSES, KUBE_SYSTEM, Cluster
from preflight.errors import NotReadyError
from preflight.identity import cluster_identifier
from preflight.logins import ending
from preflight.ownership import refuse_existing
from preflight.port_80 import by_http_01, redirected, traefik_pods
from preflight.record import record
from preflight.routers import Router, Served
from settings import Settings
from settings.credentials import CloudAccess
from settings.problems import Problem, SettingsError
from settings.tls import TlsCertManager

__all__ = ["ask", "check", "dns_addresses", "knows_prometheus_operator", "run"]

ROUTES = [f"/apis/traefik.io/v1alpha1/{kind}" for kind in ("ingressroutes", "ingressroutetcps")]
PROMETHEUS_OPERATOR = "/apis/monitoring.coreos.com/v1"

_Result = TypeVar("_Result")


def ask(settings: Settings, access: CloudAccess) -> Cluster:
    """Return the cluster, and start the requests that :func:`run` and `dns_addresses` wait for.

    They take as long as the import of the SDK of Kubernetes: call this before it.
    """
    paths = [KUBE_SYSTEM, INGRESSES, *ROUTES]
    if not settings.dns.addresses:
        paths.append(services(settings.ingress))
    if settings.monitoring.enabled:
        paths.append(PROMETHEUS_OPERATOR)
    if by_http_01(settings):
        paths.append(traefik_pods(settings))
    cluster = Cluster.of(access)
    cluster.ask(paths)
    return cluster


def run(
    settings: Settings, access: CloudAccess, cluster: Cluster, stack: str
) -> tuple[pulumi.Output[str], pulumi.ResourceTransformation]:
    """Check cluster and cloud.

    Returns:
        What identifies the cluster; whatever is made of it comes after the checks that this is the
        stack's cluster, and that the settings leave nothing behind. And a transformation for what
        is created in the cluster, which guards what others own.

    Raises:
        SettingsError: With everything that is in the way.
    """
    for warning in ending(settings.users, time.time()):
        pulumi.log.warn(warning)
    uid, own = check(settings, access, cluster, stack)
    outputs = pulumi.Output.all(cluster_identifier(uid), record(settings, access, cluster, own))
    identifier = outputs.apply(lambda known: str(known[0]))
    return identifier, refuse_existing(settings, cluster, stack)


def knows_prometheus_operator(settings: Settings, cluster: Cluster) -> bool:
    """Return whether the cluster knows the kinds of Prometheus's operator, where they are wanted.

    A preview that cannot ask takes it that it does.

    Raises:
        SettingsError: In an update, if the cluster cannot be asked.
    """
    if not settings.monitoring.enabled:
        return False
    try:
        known = cluster.knows(PROMETHEUS_OPERATOR)
    except NotReadyError as error:
        if pulumi.runtime.is_dry_run():
            return True
        raise SettingsError(error.problem) from error
    if not known:
        pulumi.log.warn(
            "monitoring.enabled: the cluster does not know Prometheus's operator, so there is no "
            "PodMonitor and no PrometheusRule; docs/monitoring.md says how to do without, and "
            "`pulumi up` creates them once it is installed"
        )
    return known


def check(
    settings: Settings, access: CloudAccess, cluster: Cluster, stack: str
) -> tuple[str | None, list[Served]]:
    """Ask cluster and cloud all that can be asked before the state is known.

    Each check stands alone: one that cannot be made hides no other. A preview needs neither cluster
    nor cloud, so what is not ready is a warning there.

    Returns:
        The cluster's UID, or None if a preview cannot reach it; and what serves the hostname from
        another namespace of a stack with this name, which is this stack's own if the state says so.

    Raises:
        SettingsError: With everything that is in the way.
    """
    problems: list[Problem] = []
    not_ready: dict[Problem, None] = {}  # A set in order: several checks may fail alike.

    def result(future: Future[_Result]) -> _Result | None:
        try:
            return future.result()
        except NotReadyError as error:
            not_ready[error.problem] = None
            return None

    with ThreadPoolExecutor() as pool:
        uid = pool.submit(cluster.uid)
        checks = [pool.submit(check) for check in _checks(settings, access, cluster)]
        others = [
            pool.submit(_routers, of_items, settings, cluster, path)
            for of_items, path in (
                (routers.of_ingresses, INGRESSES),
                *((routers.of_routes, path) for path in ROUTES),
            )
        ]
        port_80 = pool.submit(redirected, settings, cluster)
    own: list[Served] = []
    for check in checks:
        conflict = result(check)
        problems += conflict or []
    for lists in others:
        served, warnings = result(lists) or ([], [])
        for warning in warnings:
            pulumi.log.warn(warning)
        for item, owner in served:
            if owner == stack:
                own.append(item)
            else:
                problems.append(item.problem)
    if problem := port_80.result():
        if settings.tls.mode == "letsEncrypt":
            problems.append(problem)
        else:  # Its issuer may ask by DNS-01 instead.
            pulumi.log.warn(
                f"{problem.key} {problem.value}: {problem.expected}; fix: {problem.fix}"
            )
    known_uid = result(uid)
    if not_ready and pulumi.runtime.is_dry_run():
        reasons = "; ".join(problem.expected for problem in not_ready)
        pulumi.log.warn(f"`pulumi up` would be refused, and not all conflicts are shown: {reasons}")
    elif not_ready:
        problems += not_ready
    if problems:
        raise SettingsError(*problems)
    return known_uid, own


def _routers(
    of_items: Callable[[Settings, list[dict[str, Any]]], list[Router]],
    settings: Settings,
    cluster: Cluster,
    path: str,
) -> tuple[list[tuple[Served, str | None]], list[str]]:
    """Return what serves the hostname, with the stacks that own it, and warnings."""
    known = of_items(settings, cluster.items(path))
    served = [(x, cluster.owner(x.namespace)) for x in routers.served(settings, known)]
    return served, routers.warnings(settings, known)


def _checks(
    settings: Settings, access: CloudAccess, cluster: Cluster
) -> list[Callable[[], list[Problem] | None]]:
    checks: list[Callable[[], list[Problem] | None]] = []
    if settings.pull_secrets.namespaces:
        checks.append(
            lambda: conflicts.missing_namespaces(settings, cluster.items("/api/v1/namespaces"))
        )
    if settings.pull_secrets.default_service_account:
        checks.append(
            lambda: conflicts.service_accounts(settings, cluster.items("/api/v1/serviceaccounts"))
        )
    if isinstance(tls := settings.tls, TlsCertManager):
        checks.append(
            lambda: conflicts.certificate(
                tls, cluster.metadata("Secret", "v1", tls.secret_name, settings.namespace)
            )
        )
    if settings.storage.kind == "spaces":
        checks.append(partial(check_token, access))
    if settings.dns.zone:
        checks.append(partial(check_zone, access, settings.dns.zone))
    return checks
