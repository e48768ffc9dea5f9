"""The way in: an Ingress that leads the registry's host name to its Service."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.pod import LABELS
from components.sections import TlsSecret, TlsSettings


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """What the Ingress says.

    Attributes:
        namespace: The registry's namespace.
        hostname: The name under which clients reach the registry.
        service: The registry's Service.
        ingress_class: The IngressClass that serves it.
        tls: Who ends TLS, and with which certificate.
        writers: The htpasswd lines of who may push; secret.
    """

    namespace: pulumi.Input[str]
    hostname: str
    service: str
    ingress_class: str
    tls: TlsSettings
    writers: pulumi.Input[str]


def router_annotations(*, tls: bool) -> dict[str, str]:
    """Tell Traefik which of its doors the registry is behind; others ignore this.

    With TLS only the one for HTTPS: plain HTTP is never asked for a password.
    https://doc.traefik.io/traefik/reference/routing-configuration/kubernetes/ingress/

    Args:
        tls: Whether Traefik ends TLS.
    """
    prefix = "traefik.ingress.kubernetes.io/router"
    if tls:
        return {f"{prefix}.entrypoints": "websecure", f"{prefix}.tls": "true"}
    return {f"{prefix}.entrypoints": "web"}


class Edge(pulumi.ComponentResource):
    """An Ingress for the registry's API, and for nothing else of it."""

    def __init__(
        self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:Edge", name, None, opts)
        kubernetes.networking.v1.Ingress(
            f"{name}-ingress",
            metadata={
                "name": "registry",
                "namespace": args.namespace,
                "labels": LABELS,
                # The awaiter sleeps 10 s and wants an address that not every controller tells:
                # https://github.com/pulumi/pulumi-kubernetes/issues/1812
                "annotations": {
                    "pulumi.com/skipAwait": "true",
                    **router_annotations(tls=args.tls.mode != "none"),
                },
            },
            spec={
                "ingress_class_name": args.ingress_class,
                "tls": [{"hosts": [args.hostname], "secret_name": args.tls.secret_name}]
                if isinstance(args.tls, TlsSecret)
                else [],
                "rules": [
                    {
                        "host": args.hostname,
                        "http": {
                            "paths": [
                                {
                                    "path": "/v2",
                                    "path_type": "Prefix",
                                    "backend": {
                                        "service": {
                                            "name": args.service,
                                            "port": {"name": "http"},
                                        }
                                    },
                                }
                            ]
                        },
                    }
                ],
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
