"""The registry as a component of other programs, in any of Pulumi's languages."""

# Annotations are types here, not text: the host of the component makes its schema of them.
import json
import os
from collections.abc import Mapping
from typing import NotRequired, TypedDict, get_args

import pulumi
from pulumi.runtime.config import CONFIG

import components
import preflight
from prerequisites import prerequisites
from settings import Settings, load
from settings.section import Section

PACKAGE = "registry"


class UserArgs(TypedDict):
    """What one more user may do."""

    push: NotRequired[list[str]]
    """The repositories that the user may push to, delete from and pull: team-a/app, team-a/*, *."""
    pull: NotRequired[list[str]]
    """The repositories that the user may pull from, likewise."""


class RetentionRuleArgs(TypedDict):
    """Which tags of some repositories stay: those that any clause keeps."""

    repositories: list[str]
    """The repositories: team-a/app, team-a/*, *."""
    last: NotRequired[int]
    """How many images stay that were pushed last."""
    days: NotRequired[int]
    """For how many days after its push a tag stays."""
    matching: NotRequired[list[str]]
    """Regular expressions of tags that stay."""


class PrivateRegistryArgs(TypedDict):
    """The program's settings, each with the default that the README's table shows."""

    hostname: str
    """The name by which clients reach the registry."""
    namespace: NotRequired[str]
    """The namespace that is created for the registry."""
    admin_user: NotRequired[str]
    """The user who may push and pull everything."""
    pull_user: NotRequired[str]
    """The user who may only pull, and everything."""
    users: NotRequired[dict[str, UserArgs]]
    """More users by name, and what they may push and pull."""
    rotation: NotRequired[int]
    """The generation of all passwords and keys; passwords of that before stay valid."""
    storage_region: NotRequired[str]
    """The datacenter region of the Space, best the cluster's."""
    storage_name_prefix: NotRequired[str]
    """The start of the Space's name; a random suffix follows."""
    storage_on_destroy: NotRequired[str]
    """What a destroy does to the Space: protect, retain or delete."""
    registry_image: NotRequired[str]
    """CNCF distribution, 3.1.2 or newer."""
    registry_replicas: NotRequired[int]
    """Pods; two or more are spread over nodes."""
    registry_parallel_uploads: NotRequired[int]
    """Layers that may be uploaded to one pod at a time; sets its memory limit."""
    registry_redirect: NotRequired[bool]
    """Redirect clients to the storage itself for layers."""
    registry_read_only: NotRequired[bool]
    """Refuse pushes and deletes."""
    registry_proxy_image: NotRequired[str]
    """Caddy, the auth proxy in the same pod."""
    registry_resources_cpu: NotRequired[str]
    """What the scheduler reserves for the registry in each pod."""
    registry_resources_memory: NotRequired[str]
    """What the scheduler reserves for the registry in each pod, in bytes with a binary unit."""
    ingress_controller: NotRequired[str]
    """The ingress controller: traefik, nginx or haproxy."""
    ingress_class_name: NotRequired[str]
    """Its IngressClass."""
    ingress_controller_namespace: NotRequired[str]
    """The namespace of its pods."""
    ingress_host_network: NotRequired[bool]
    """Whether its pods are in their nodes' network."""
    ingress_tcp_route: NotRequired[bool]
    """Whether Traefik passes on connections instead of requests."""
    tls_mode: NotRequired[str]
    """Where the certificate comes from: secret, letsEncrypt, acme, certManager or none."""
    tls_secret_name: NotRequired[str]
    """The Secret with the certificate, in the registry's namespace."""
    tls_email: NotRequired[str]
    """letsEncrypt: the address of the account with Let's Encrypt."""
    tls_ca_server: NotRequired[str]
    """letsEncrypt: the URL of the directory of another ACME server."""
    tls_ca_certificates: NotRequired[str]
    """letsEncrypt: certificates in PEM, if that server's is not signed by a CA all trust."""
    tls_resolver: NotRequired[str]
    """acme: the certificate resolver in Traefik's configuration."""
    tls_issuer: NotRequired[str]
    """certManager: the issuer."""
    tls_issuer_kind: NotRequired[str]
    """certManager: ClusterIssuer or Issuer."""
    tls_client_ca: NotRequired[str]
    """Certificates in PEM; clients without one that these signed are refused."""
    dns_zone: NotRequired[str]
    """A domain of the DigitalOcean account, in which the hostname gets its DNS records."""
    dns_addresses: NotRequired[list[str]]
    """The ingress controller's addresses for clients, if not those that it tells."""
    nodes_mirror_prefix: NotRequired[str]
    """A name that image references may start with instead of the hostname."""
    nodes_override_docker_io: NotRequired[bool]
    """Pull images of docker.io from the registry, and only from there."""
    nodes_ca_file: NotRequired[str]
    """The file on the nodes with the CA that signed the registry's certificate."""
    nodes_configure: NotRequired[bool]
    """Write registries.yaml on all nodes, and restart k3s there."""
    pull_secrets_namespaces: NotRequired[list[str]]
    """Existing namespaces that get a pull Secret."""
    pull_secrets_default_service_account: NotRequired[bool]
    """Add it to the default service account there, for all pods."""
    maintenance_enabled: NotRequired[bool]
    """Look after the storage: usage, lost images, what no image needs."""
    maintenance_schedule: NotRequired[str]
    """When, as a cron schedule in UTC."""
    maintenance_collect: NotRequired[bool]
    """Delete what no image needs."""
    maintenance_keep_days: NotRequired[int]
    """For how many days that is kept, and can be restored."""
    retention_dry_run: NotRequired[bool]
    """Only show which tags the rules would delete."""
    retention_untagged_days: NotRequired[int]
    """For how many days manifests stay that no tag holds; for ever if it is not set."""
    retention_rules: NotRequired[dict[str, RetentionRuleArgs]]
    """Rules by name; that with the most specific pattern for a repository decides."""
    monitoring_enabled: NotRequired[bool]
    """Serve metrics, and tell Prometheus's operator of them, of alerts and a dashboard."""
    monitoring_namespace: NotRequired[str]
    """The namespace of Prometheus's pods, which alone reach the metrics."""
    scripts_image: NotRequired[str]
    """Runs the scripts that check, test and look after the registry."""


def nested(kind: object, inputs: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Return flat inputs as the configuration has them, with a section for each prefix.

    Args:
        kind: A section of the settings, or a union of kinds of it.
        inputs: The inputs by their Python names.
        prefix: What the names of the section's inputs start with.
    """
    config: dict[str, object] = {}
    for section in get_args(kind) or [kind]:
        if isinstance(section, type) and issubclass(section, Section):
            for name, field in section.model_fields.items():
                inner = nested(field.annotation, inputs, f"{prefix}{name}_")
                value = inputs.get(f"{prefix}{name}", inner or None)
                if value is not None:
                    config[str(field.alias)] = value
    return config


def as_configured(value: object) -> str:
    """Return an input as the engine hands a program its configuration.

    A host gets whole numbers as floating-point ones, and loses the conversion back:
    https://github.com/pulumi/pulumi/blob/v3.272.0/sdk/python/lib/pulumi/provider/experimental/component.py
    """
    if isinstance(value, str):
        return value
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    whole = json.loads(text, parse_float=lambda number: int(float(number)))
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def _without_callers(config: Mapping[str, str]) -> dict[str, str]:
    """Return a configuration without the own keys of a caller's project of the package's name."""
    return {key: text for key, text in config.items() if not key.startswith(f"{PACKAGE}:")}


class PrivateRegistry(components.PrivateRegistry):
    """A private container registry on k3s that keeps its images in a DigitalOcean Space.

    One per stack. The API token is digitalocean:token of the stack's configuration, or
    DIGITALOCEAN_TOKEN; the cluster is that of kubernetes:kubeconfig, or of the shell's kubeconfig.
    """

    def __init__(
        self,
        name: str,
        args: PrivateRegistryArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        # A program has its configuration in the environment; a host is handed that of its caller.
        config = _without_callers(pulumi.runtime.get_config_env() | CONFIG.get())
        secret_keys = {key for key in config if pulumi.runtime.is_config_secret(key)}
        secret_keys.update(config.keys() & pulumi.runtime.get_config_secret_keys_env())
        for key, value in nested(Settings, args).items():
            config[f"{PACKAGE}:{key}"] = as_configured(value)
        settings, access = load(config, frozenset(secret_keys), os.environ, PACKAGE)
        registry_args, own = prerequisites(settings, access, preflight.ask(settings, access))
        super().__init__(name, registry_args, pulumi.ResourceOptions.merge(opts, own))
