"""An ACME client: gets the certificate from Let's Encrypt, renews it, and keeps it in a Secret.

It is Caddy, in a pod of its own, so that it does not matter how many pods the registry has, and
that nothing of the cluster's is changed (docs/adr/0014-acme-client.md).
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from components.ingress.acme_pod import (
    LABELS,
    NAME,
    PORT,
    SCRIPTS,
    AcmeClientArgs,
    acme_pod,
    config_files,
)
from components.ingress.tls import web_annotations
from components.metadata import SKIP_AWAIT
from components.network import ANYWHERE, API_SERVER_RULE, dns_rule, from_controller, policy
from components.script_files import config_map, script_files
from scripts.client.why_missing import CHALLENGE_PATH
from settings.names import ACME_SECRET


class AcmeClient(pulumi.ComponentResource):
    """Gets the certificate for the registry's hostname by HTTP-01 challenges, and renews it."""

    def __init__(
        self, name: str, args: AcmeClientArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:AcmeClient", name, None, opts)
        self._name, self._args = name, args
        self._metadata: kubernetes.meta.v1.ObjectMetaArgsDict = {
            "name": NAME,
            "namespace": args.namespace,
            "labels": LABELS,
        }
        self._child = pulumi.ResourceOptions(parent=self)
        needed = [self._policy(), *self._rbac(), *self._service_and_ingress()]
        config = config_map(
            f"{name}-config", args.namespace, LABELS, config_files(args), self._child
        )
        code = config_map(
            f"{name}-script", args.namespace, LABELS, script_files(SCRIPTS), self._child
        )
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=self._metadata,
            spec={
                "selector": {"match_labels": LABELS},
                # Two at once would both ask for a certificate.
                "strategy": {"type": "Recreate"},
                "template": {"metadata": {"labels": LABELS}, "spec": acme_pod(args, config, code)},
            },
            # An ACME server that cannot ask back counts it as a failure.
            opts=pulumi.ResourceOptions(parent=self, depends_on=needed),
        )
        self.register_outputs({})

    def _policy(self) -> pulumi.Resource:
        return policy(
            f"{self._name}-policy",
            NAME,
            self._args.namespace,
            LABELS,
            self._child,
            ingress=[from_controller(self._args.ingress, PORT)],
            egress=[
                dns_rule(),
                # The ACME server, and the cluster's API server wherever it listens.
                {"to": ANYWHERE, "ports": [{"protocol": "TCP", "port": 443, "end_port": 65535}]},
                API_SERVER_RULE,
            ],
        )

    def _rbac(self) -> list[pulumi.Resource]:
        """Grant the client write access to its Secret, and to no other that exists."""
        account = kubernetes.core.v1.ServiceAccount(
            f"{self._name}-account", metadata=self._metadata, opts=self._child
        )
        role = kubernetes.rbac.v1.Role(
            f"{self._name}-role",
            metadata=self._metadata,
            rules=[
                # The name is not known yet when it is decided who may create.
                {"api_groups": [""], "resources": ["secrets"], "verbs": ["create"]},
                {
                    "api_groups": [""],
                    "resources": ["secrets"],
                    "resource_names": [ACME_SECRET],
                    "verbs": ["get", "patch"],
                },
            ],
            opts=self._child,
        )
        binding = kubernetes.rbac.v1.RoleBinding(
            f"{self._name}-role-binding",
            metadata=self._metadata,
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": role.metadata.name,
            },
            subjects=[{"kind": "ServiceAccount", "name": NAME, "namespace": self._args.namespace}],
            opts=self._child,
        )
        return [account, binding]

    def _service_and_ingress(self) -> list[pulumi.Resource]:
        args = self._args
        service = kubernetes.core.v1.Service(
            f"{self._name}-service",
            metadata={**self._metadata, "annotations": SKIP_AWAIT},
            spec={
                "selector": LABELS,
                "ports": [{"name": "http", "port": PORT, "target_port": PORT, "protocol": "TCP"}],
            },
            opts=self._child,
        )
        # An Ingress of its own: the registry's may be on port 443 only.
        ingress = kubernetes.networking.v1.Ingress(
            f"{self._name}-ingress",
            metadata={**self._metadata, "annotations": {**SKIP_AWAIT, **web_annotations()}},
            spec={
                "ingress_class_name": args.ingress.class_name,
                "rules": [
                    {
                        "host": args.hostname,
                        "http": {
                            "paths": [
                                {
                                    "path": CHALLENGE_PATH,
                                    "path_type": "Prefix",
                                    "backend": {
                                        "service": {"name": NAME, "port": {"name": "http"}}
                                    },
                                }
                            ]
                        },
                    }
                ],
            },
            opts=self._child,
        )
        return [service, ingress]
