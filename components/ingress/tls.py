"""What each way to TLS adds to the Ingress, and to the IngressRoute that must agree with it."""

from __future__ import annotations

import pulumi_kubernetes as kubernetes

from settings.schema import TlsAcme, TlsCertManager, TlsNone, TlsSecret, TlsSettings

TLS_OPTION = "registry"
"""The TLSOption's name. One called ``default`` would be that of every host in the cluster:
https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/crd/tls/tlsoption/"""

_ROUTER = "traefik.ingress.kubernetes.io/router"


def entry_point(tls: TlsSettings) -> str:
    """Answer the one of k3s' entry points of Traefik that the registry is behind.

    With TLS only the one for HTTPS: plain HTTP is never asked for a password.

    Args:
        tls: Who ends TLS.
    """
    return "web" if isinstance(tls, TlsNone) else "websecure"


def ingress_annotations(tls: TlsSettings) -> dict[str, str]:
    """Tell Traefik, and cert-manager, who ends TLS and with which certificate.

    https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/
    https://cert-manager.io/docs/usage/ingress/

    Args:
        tls: Who ends TLS.
    """
    annotations = {f"{_ROUTER}.entrypoints": entry_point(tls)}
    if not isinstance(tls, TlsNone):
        annotations[f"{_ROUTER}.tls"] = "true"
    if isinstance(tls, TlsAcme):
        annotations[f"{_ROUTER}.tls.certresolver"] = tls.resolver
    if isinstance(tls, TlsCertManager):
        kind = "cluster-issuer" if tls.issuer_kind == "ClusterIssuer" else "issuer"
        annotations[f"cert-manager.io/{kind}"] = tls.issuer
    return annotations


def route_tls(tls: TlsSettings) -> dict[str, object]:
    """Write the same for an IngressRoute; empty without TLS.

    Of two routers of one host with different options, both would get Traefik's default ones:
    https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/crd/http/ingressroute/

    Args:
        tls: Who ends TLS.
    """
    if isinstance(tls, TlsNone):
        return {}
    options = {"options": {"name": TLS_OPTION}}
    if isinstance(tls, TlsAcme):
        return {"certResolver": tls.resolver, **options}
    return {"secretName": tls.secret_name, **options}


def ingress_tls(
    tls: TlsSettings, hostname: str
) -> list[kubernetes.networking.v1.IngressTLSArgsDict]:
    """Name the Secret with the certificate, if there is one.

    Args:
        tls: Who ends TLS.
        hostname: The name that the certificate is for.
    """
    if isinstance(tls, TlsSecret | TlsCertManager):
        return [{"hosts": [hostname], "secret_name": tls.secret_name}]
    return []
