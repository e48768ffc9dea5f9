"""The way in: Traefik's routes from the registry's host name to its Service.

Who may push is decided here, by method, since the registry itself cannot tell its users apart
(docs/adr/0010-pull-user.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.ingress.tls import (
    TLS_OPTION,
    entry_point,
    ingress_annotations,
    ingress_tls,
    route_tls,
)
from components.ingress.upload_timeout import traefik_values
from components.metadata import SKIP_AWAIT, STACK_ANNOTATION, labels
from settings.schema import IngressSettings, TlsNone, TlsSettings

LABELS = labels("registry")

HSTS_SECONDS = 31536000
"""A year, the least that browsers' preload lists take: https://hstspreload.org/"""

READ_PRIORITY = 1000
"""Above any that Traefik gives the Ingress, which is its rule's length:
https://doc.traefik.io/traefik/reference/routing-configuration/http/routing/rules-and-priority/"""


@dataclass(frozen=True, kw_only=True)
class IngressArgs:
    """What the routes say.

    Attributes:
        settings: The ingress class, and how long an upload may take.
        namespace: The registry's namespace.
        stack: The full name of the stack; tells whose the change of Traefik is.
        hostname: The name under which clients reach the registry.
        service: The registry's Service.
        tls: Who ends TLS, and with which certificate.
        writers: The htpasswd lines of who may push; secret.
    """

    settings: IngressSettings
    namespace: pulumi.Input[str]
    stack: str
    hostname: str
    service: str
    tls: TlsSettings
    writers: pulumi.Input[str]


class Ingress(pulumi.ComponentResource):
    """Routes for the registry's API, and for nothing else of it: all may read, writers may write.

    An Ingress takes every request and lets writers pass only; an IngressRoute takes from it what
    reads. Without the one, nobody writes; without the other, nobody but writers reads.
    """

    def __init__(
        self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(
            "registry:index:Ingress",
            name,
            None,
            pulumi.ResourceOptions.merge(
                opts,
                pulumi.ResourceOptions(
                    aliases=[
                        pulumi.Alias(
                            name="edge",
                            type_="registry:index:Edge",
                            parent=pulumi.ROOT_STACK_RESOURCE,
                        )
                    ]
                ),
            ),
        )
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self._writers()
        if not isinstance(args.tls, TlsNone):
            self._hsts()
            self._tls_option(args.tls.client_ca)
        self._ingress()
        self._read_route()
        if args.settings.upload_timeout:
            self._upload_timeout(args.settings.upload_timeout)
        self.register_outputs({})

    def _traefik(self, kind: str, name: str, spec: dict[str, object]) -> None:
        kubernetes.apiextensions.CustomResource(
            f"{self._name}-{name}",
            api_version="traefik.io/v1alpha1",
            kind=kind,
            metadata={
                "name": name,
                "namespace": self._args.namespace,
                "labels": LABELS,
                # A Traefik with a class of its own takes no other; one without takes traefik.
                "annotations": {"kubernetes.io/ingress.class": self._args.settings.class_name},
            },
            spec=spec,
            opts=self._child,
        )

    def _secret(self, name: str, data: dict[str, pulumi.Input[str]]) -> None:
        kubernetes.core.v1.Secret(
            f"{self._name}-{name}",
            metadata={"name": name, "namespace": self._args.namespace, "labels": LABELS},
            string_data=data,
            opts=self._child,
        )

    def _writers(self) -> None:
        self._secret("registry-writers", {"users": pulumi.Output.secret(self._args.writers)})
        # The registry's own realm. It verifies the login once more, as the header stays.
        basic_auth = {"secret": "registry-writers", "realm": "registry"}
        self._traefik("Middleware", "writers", {"basicAuth": basic_auth})

    def _hsts(self) -> None:
        self._traefik("Middleware", "hsts", {"headers": {"stsSeconds": HSTS_SECONDS}})

    def _tls_option(self, client_ca: str | None) -> None:
        # Strict: without a certificate for the hostname the handshake fails, instead of a password
        # being asked for behind Traefik's default certificate:
        # https://doc.traefik.io/traefik/reference/routing-configuration/http/tls/tls-options/
        spec: dict[str, object] = {"minVersion": "VersionTLS12", "sniStrict": True}
        if client_ca:
            self._secret("registry-client-ca", {"tls.ca": client_ca})
            spec["clientAuth"] = {
                "secretNames": ["registry-client-ca"],
                "clientAuthType": "RequireAndVerifyClientCert",
            }
        self._traefik("TLSOption", TLS_OPTION, spec)

    def _named(self, name: str) -> pulumi.Output[str]:
        """Name one of the above as an Ingress does."""
        return pulumi.Output.concat(self._args.namespace, f"-{name}@kubernetescrd")

    def _ingress(self) -> None:
        args = self._args
        router = "traefik.ingress.kubernetes.io/router"
        annotations: dict[str, pulumi.Input[str]] = {
            # The awaiter sleeps 10 s and wants an address that not every controller tells:
            # https://github.com/pulumi/pulumi-kubernetes/issues/1812
            **SKIP_AWAIT,
            **ingress_annotations(args.tls),
        }
        if isinstance(args.tls, TlsNone):
            annotations[f"{router}.middlewares"] = self._named("writers")
        else:
            annotations[f"{router}.middlewares"] = pulumi.Output.concat(
                self._named("hsts"), ",", self._named("writers")
            )
            annotations[f"{router}.tls.options"] = self._named(TLS_OPTION)
        kubernetes.networking.v1.Ingress(
            f"{self._name}-ingress",
            metadata={
                "name": "registry",
                "namespace": args.namespace,
                "labels": LABELS,
                "annotations": annotations,
            },
            spec={
                "ingress_class_name": args.settings.class_name,
                "tls": ingress_tls(args.tls, args.hostname),
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
            opts=self._child,
        )

    def _read_route(self) -> None:
        args = self._args
        tls = route_tls(args.tls)
        self._traefik(
            "IngressRoute",
            "registry-read",
            {
                "entryPoints": [entry_point(args.tls)],
                "routes": [
                    {
                        "kind": "Rule",
                        "match": f"Host(`{args.hostname}`) && PathPrefix(`/v2`) "
                        "&& (Method(`GET`) || Method(`HEAD`))",
                        "priority": READ_PRIORITY,
                        "middlewares": [{"name": "hsts"}] if tls else [],
                        "services": [{"name": args.service, "port": "http"}],
                    }
                ],
                **({"tls": tls} if tls else {}),
            },
        )

    def _upload_timeout(self, seconds: int) -> None:
        # By name and namespace, k3s merges it into the values of its own chart:
        # https://docs.k3s.io/add-ons/helm#customizing-packaged-components-with-helmchartconfig
        kubernetes.apiextensions.CustomResource(
            f"{self._name}-upload-timeout",
            api_version="helm.cattle.io/v1",
            kind="HelmChartConfig",
            metadata={
                "name": "traefik",
                "namespace": "kube-system",
                "labels": LABELS,
                "annotations": {STACK_ANNOTATION: self._args.stack},
            },
            spec={"valuesContent": traefik_values(entry_point(self._args.tls), seconds)},
            opts=self._child,
        )
