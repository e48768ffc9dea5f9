"""How clients reach the registry: an Ingress and a TCP route of Traefik's, or a route of a Gateway.

A TCP route terminates TLS and passes bytes on, so Traefik's limit on the time of a request does not
hold (docs/adr/0011-tcp-route.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.ingress.tls import (
    CLIENT_CA,
    TLS_OPTION,
    ingress_annotations,
    ingress_tls,
    route_tls,
)
from components.metadata import SKIP_AWAIT
from components.network import PORT, REGISTRY_LABELS
from settings.names import ROUTE_PRIORITY
from settings.schema import IngressSettings
from settings.tls import TlsNone, TlsSettings

CONNECTIONS = 2000
"""How many connections an address may have to one Traefik: the auth proxy has memory for as many of
any kind, and no limit of its own (docs/performance.md)."""


@dataclass(frozen=True, kw_only=True)
class IngressArgs:
    """What leads to the registry; its Service's port ``redirect`` redirects to HTTPS."""

    settings: IngressSettings
    tls: TlsSettings
    namespace: pulumi.Input[str]
    hostname: str
    service: str


class Ingress(pulumi.ComponentResource):
    """Leads the hostname to the registry.

    By a TCP route, port 443 is the route's, and the Ingress has port 80: it redirects to HTTPS, and
    is where certificate authorities look for their challenge. An IngressRoute gets what somebody
    else's wildcard takes from the TCP route. Otherwise the Ingress has port 443. With a Gateway
    there is a route to it, and nothing else.
    """

    def __init__(
        self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Ingress", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        tls = args.tls
        if args.settings.gateway and args.settings.controller == "gateway":
            self._gateway_route(*args.settings.gateway.split("/"))
        elif isinstance(tls, TlsNone):
            self._ingress("http", "/v2")
        else:
            if tls.client_ca:
                self._client_ca(tls.client_ca)
            self._tls_option(tls.client_ca)
            if args.settings.by_tcp_route:
                self._tcp_route(route_tls(tls))
                self._guard(tls.client_ca)
                self._ingress("redirect", "/")
            else:
                self._ingress("http", "/v2")
        self.register_outputs({})

    def _traefik(self, kind: str, name: str, spec: dict[str, object]) -> None:
        kubernetes.apiextensions.CustomResource(
            f"{self._name}-{name}",
            api_version="traefik.io/v1alpha1",
            kind=kind,
            metadata={
                "name": TLS_OPTION,
                "namespace": self._args.namespace,
                "labels": REGISTRY_LABELS,
                # A Traefik with a class of its own takes no other; one without takes traefik.
                "annotations": {"kubernetes.io/ingress.class": self._args.settings.class_name},
            },
            spec=spec,
            opts=self._child,
        )

    def _client_ca(self, certificates: str) -> None:
        kubernetes.core.v1.Secret(
            f"{self._name}-{CLIENT_CA}",
            metadata={
                "name": CLIENT_CA,
                "namespace": self._args.namespace,
                "labels": REGISTRY_LABELS,
            },
            string_data={"ca.crt": certificates},
            opts=self._child,
        )

    def _tls_option(self, client_ca: str | None) -> None:
        # Strict: without a certificate for the hostname the handshake fails, instead of a password
        # being asked for behind Traefik's default certificate:
        # https://doc.traefik.io/traefik/reference/routing-configuration/http/tls/tls-options/
        spec: dict[str, object] = {"minVersion": "VersionTLS12", "sniStrict": True}
        if self._args.settings.by_tcp_route:
            # The auth proxy speaks no HTTP/2 (docs/adr/0010-auth-proxy.md). The second is for
            # Traefik's own ACME challenges.
            spec["alpnProtocols"] = ["http/1.1", "acme-tls/1"]
        if client_ca:
            spec["clientAuth"] = {
                "secretNames": [CLIENT_CA],
                "clientAuthType": "RequireAndVerifyClientCert",
            }
        self._traefik("TLSOption", TLS_OPTION, spec)

    def _tcp_route(self, tls: dict[str, object]) -> None:
        service = {
            "name": self._args.service,
            "port": "http",
            # Tells the client's address. Traefik 3 has another place for this, Traefik 2 this one.
            "proxyProtocol": {"version": 2},
        }
        self._traefik("MiddlewareTCP", "connections", {"inFlightConn": {"amount": CONNECTIONS}})
        rule = {
            "match": f"HostSNI(`{self._args.hostname}`)",
            "middlewares": [{"name": TLS_OPTION}],
            "priority": ROUTE_PRIORITY,
            "services": [service],
        }
        self._traefik(
            "IngressRouteTCP",
            "tcp-route",
            {"entryPoints": ["websecure"], "routes": [rule], "tls": tls},
        )

    def _guard(self, client_ca: str | None) -> None:
        """Keep passwords from whoever has this host or a wildcard for it on port 443.

        Traefik gives a connection to HTTP if any route has a Host for its name, however the TCP
        route is written, and then compares priorities of HTTP routes. A regular expression is no
        Host, so this route takes nothing from the TCP route; the Host beside it, which nobody has,
        keeps it from being one for all names, which would go before TCP routes of others for all:
        https://github.com/traefik/traefik/blob/v3.7.13/pkg/server/router/tcp/router.go
        """
        pattern = self._args.hostname.replace(".", r"\.")
        # Who came that way was not asked for a certificate: it ends there, with status 418.
        service = (
            {"kind": "TraefikService", "name": "noop@internal"}
            if client_ca
            else {"name": self._args.service, "port": "http"}
        )
        rule = {
            "kind": "Rule",
            "match": f"HostRegexp(`^{pattern}$`) || Host(`{self._args.hostname}.invalid`)",
            "priority": ROUTE_PRIORITY,
            "services": [service],
        }
        self._traefik(
            "IngressRoute", "guard", {"entryPoints": ["websecure"], "routes": [rule], "tls": {}}
        )

    def _gateway_route(self, namespace: str, gateway: str, listener: str) -> None:
        """Lead requests of one listener, which ends TLS, to the registry.

        All that the API server would fill in is written out, as it is part of lists. The time of a
        request is without a limit, where the controller has one.
        https://gateway-api.sigs.k8s.io/api-types/httproute/
        """
        parent = {
            "group": "gateway.networking.k8s.io",
            "kind": "Gateway",
            "namespace": namespace,
            "name": gateway,
            "sectionName": listener,
        }
        backend = {
            "group": "",
            "kind": "Service",
            "name": self._args.service,
            "port": PORT,
            "weight": 1,
        }
        kubernetes.apiextensions.CustomResource(
            f"{self._name}-gateway-route",
            api_version="gateway.networking.k8s.io/v1",
            kind="HTTPRoute",
            metadata={
                "name": "registry",
                "namespace": self._args.namespace,
                "labels": REGISTRY_LABELS,
            },
            spec={
                "parentRefs": [parent],
                "hostnames": [self._args.hostname],
                "rules": [
                    {
                        "matches": [{"path": {"type": "PathPrefix", "value": "/v2"}}],
                        "backendRefs": [backend],
                        "timeouts": {"request": "0s"},
                    }
                ],
            },
            opts=self._child,
        )

    def _ingress(self, port: str, path: str) -> None:
        args = self._args
        annotations = pulumi.Output.from_input(args.namespace).apply(
            lambda namespace: {
                # The awaiter sleeps 10 s and wants an address, which comes late:
                # https://github.com/pulumi/pulumi-kubernetes/issues/1812
                **SKIP_AWAIT,
                **ingress_annotations(args.settings, args.tls, namespace),
            }
        )
        to: kubernetes.networking.v1.HTTPIngressPathArgsDict = {
            "path": path,
            "path_type": "Prefix",
            "backend": {"service": {"name": args.service, "port": {"name": port}}},
        }
        kubernetes.networking.v1.Ingress(
            f"{self._name}-ingress",
            metadata={
                "name": "registry",
                "namespace": args.namespace,
                "labels": REGISTRY_LABELS,
                "annotations": annotations,
            },
            spec={
                "ingress_class_name": args.settings.class_name,
                "tls": ingress_tls(args.tls, args.hostname),
                "rules": [{"host": args.hostname, "http": {"paths": [to]}}],
            },
            opts=self._child,
        )
