"""What Ingress and TCP route say of TLS."""

from __future__ import annotations

import pulumi_kubernetes as kubernetes

from settings.names import ACME_SECRET, ROUTE_PRIORITY
from settings.schema import IngressSettings
from settings.tls import (
    TlsAcme,
    TlsCertManager,
    TlsLetsEncrypt,
    TlsNone,
    TlsSecret,
    TlsSettings,
)

TLS_OPTION = "registry"
"""The TLSOption's name. One called ``default`` would be that of every host in the cluster:
https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/crd/tls/tlsoption/"""

CLIENT_CA = "registry-client-ca"
"""The Secret with the certificate authority of the clients."""

_ROUTER = "traefik.ingress.kubernetes.io/router"


def ingress_annotations(
    ingress: IngressSettings, tls: TlsSettings, namespace: str
) -> dict[str, str]:
    """Return the annotations of the Ingress."""
    annotations = _traefik_router(ingress, tls, namespace)
    if isinstance(tls, TlsCertManager):
        kind = "cluster-issuer" if tls.issuer_kind == "ClusterIssuer" else "issuer"
        annotations[f"cert-manager.io/{kind}"] = tls.issuer
        if ingress.by_tcp_route:
            # k3s' Traefik would serve an Ingress of cert-manager's own with TLS, too, and for that
            # time take the host away from the TCP route.
            # https://cert-manager.io/docs/usage/ingress/#supported-annotations
            annotations["acme.cert-manager.io/http01-edit-in-place"] = "true"
    return annotations


def _traefik_router(ingress: IngressSettings, tls: TlsSettings, namespace: str) -> dict[str, str]:
    """Return the entry point of Traefik, and of TLS what the Ingress itself cannot say.

    https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/
    """
    if isinstance(tls, TlsNone):
        return web_annotations()
    if ingress.by_tcp_route:
        # Without a priority: cert-manager adds its challenges to this Ingress, and they go before
        # the redirect as their rules are longer.
        return {f"{_ROUTER}.entrypoints": "web"}
    annotations = {
        f"{_ROUTER}.entrypoints": "websecure",
        f"{_ROUTER}.priority": str(ROUTE_PRIORITY),
        f"{_ROUTER}.tls": "true",
        f"{_ROUTER}.tls.options": f"{namespace}-{TLS_OPTION}@kubernetescrd",
    }
    if isinstance(tls, TlsAcme):
        annotations[f"{_ROUTER}.tls.certresolver"] = tls.resolver
    return annotations


def web_annotations() -> dict[str, str]:
    """Return the annotations of an Ingress that Traefik serves on port 80 only, before others."""
    return {f"{_ROUTER}.entrypoints": "web", f"{_ROUTER}.priority": str(ROUTE_PRIORITY)}


def ingress_tls(
    tls: TlsSettings, hostname: str
) -> list[kubernetes.networking.v1.IngressTLSArgsDict]:
    """Return the ``tls`` of the Ingress: the Secret with the certificate, if there is one."""
    if isinstance(tls, TlsAcme | TlsNone):
        return []
    return [{"hosts": [hostname], "secret_name": _secret_name(tls)}]


def route_tls(
    tls: TlsAcme | TlsCertManager | TlsLetsEncrypt | TlsSecret,
) -> dict[str, object]:
    """Return the ``tls`` of the TCP route."""
    certificate = (
        {"certResolver": tls.resolver}
        if isinstance(tls, TlsAcme)
        else {"secretName": _secret_name(tls)}
    )
    return {**certificate, "options": {"name": TLS_OPTION}}


def _secret_name(tls: TlsCertManager | TlsLetsEncrypt | TlsSecret) -> str:
    return ACME_SECRET if isinstance(tls, TlsLetsEncrypt) else tls.secret_name
