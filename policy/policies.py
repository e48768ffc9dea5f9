"""The policies: each a name, what it is for, and a rule of the other modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pulumi_policy import (
    PolicyResource,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)

from policy import cloud, leaks, network, pods, rights
from policy.reading import at, fits, known

_Rule = Callable[[ResourceValidationArgs, dict[str, Any]], Iterable[str]]


KINDS = {
    *("apps/v1:DaemonSet", "apps/v1:Deployment", "batch/v1:CronJob", "batch/v1:Job"),
    *("core/v1:ConfigMap", "core/v1:Namespace", "core/v1:Pod", "core/v1:PodTemplate"),
    *("gateway.networking.k8s.io/v1:HTTPRoute",),
    *("core/v1:Secret", "core/v1:Service", "core/v1:ServiceAccount", "core/v1:ServiceAccountPatch"),
    *("monitoring.coreos.com/v1:PodMonitor", "monitoring.coreos.com/v1:PrometheusRule"),
    *("networking.k8s.io/v1:Ingress", "networking.k8s.io/v1:NetworkPolicy"),
    *("policy/v1:PodDisruptionBudget",),
    *("rbac.authorization.k8s.io/v1:Role", "rbac.authorization.k8s.io/v1:RoleBinding"),
    *("traefik.io/v1alpha1:IngressRoute", "traefik.io/v1alpha1:IngressRouteTCP"),
    *("traefik.io/v1alpha1:MiddlewareTCP", "traefik.io/v1alpha1:TLSOption"),
}
"""The kinds of objects whose every way around the policies has been looked at."""

ASKS_API_SERVER = {
    "NodeConfigurator": "initContainers",
    "AcmeClient": "initContainers",
    "Maintenance": "containers",
    "Scan": "containers",
}
"""The kind of containers that may have an API token, by component."""


def _is_part_of(urn: str, component: str) -> bool:
    """Return whether a resource is a component's, by the types of its parents."""
    return f"registry:index:{component}" in urn.split("::")[2].split("$")


def _configures_nodes(urn: str) -> bool:
    return _is_part_of(urn, "NodeConfigurator")


def _is_bootstrap(urn: str) -> bool:
    """Return whether a resource is the key that creates the Space, which is nobody's child."""
    return urn.split("::")[2:] == [cloud.KEY, leaks.BOOTSTRAP]


def _policy(name: str, description: str, rule: _Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for problem in rule(args, known(args.props)):
            report(problem, None)

    return ResourceValidationPolicy(name, description, validate)


def _of_objects(rule: Callable[[dict[str, Any]], Iterable[str]]) -> _Rule:
    return lambda args, inputs: rule(inputs) if args.resource_type.startswith("kubernetes:") else ()


def _restricted(args: ResourceValidationArgs, inputs: dict[str, Any]) -> Iterator[str]:
    if args.resource_type.startswith("kubernetes:"):
        asking = (kind for x, kind in ASKS_API_SERVER.items() if _is_part_of(args.urn, x))
        yield from pods.unrestricted(
            inputs,
            configures_nodes=_configures_nodes(args.urn),
            asks_api_server=next(asking, ""),
        )


def _admission(args: ResourceValidationArgs, inputs: dict[str, Any]) -> Iterator[str]:
    label = "pod-security.kubernetes.io/enforce"
    is_restricted = fits(at(inputs, "metadata", "labels", label), "restricted")
    if inputs.get("kind") == "Namespace" and not (is_restricted or _configures_nodes(args.urn)):
        yield f"metadata.labels[{label}]: expected restricted"


def _hidden(args: ResourceValidationArgs, _: dict[str, Any]) -> Iterator[str]:
    package, _colon, kind = args.resource_type.partition(":")
    if package == "kubernetes" and kind not in KINDS:
        yield "expected a kind that all policies know: see KINDS in policy/policies.py"


def _broad(args: ResourceValidationArgs, inputs: dict[str, Any]) -> Iterable[str]:
    return () if _is_bootstrap(args.urn) else cloud.broad(args.resource_type, inputs)


def _objects(args: StackValidationArgs) -> Iterator[tuple[PolicyResource, dict[str, Any]]]:
    for resource in args.resources:
        if resource.resource_type.startswith("kubernetes:"):
            yield resource, known(resource.props)


def _closed(args: StackValidationArgs, report: ReportViolation) -> None:
    objects = (x for resource, x in _objects(args) if not _configures_nodes(resource.urn))
    for namespace in sorted(network.open_namespaces(objects)):
        report(f"namespace {namespace}: expected a NetworkPolicy that denies all traffic", None)


def _secrets(resources: Iterable[PolicyResource]) -> set[str]:
    return {x for item in resources for x in leaks.secrets(item.resource_type, known(item.props))}


def _secret(args: StackValidationArgs, report: ReportViolation) -> None:
    generated = _secrets(args.resources)
    for resource, outputs in _objects(args):
        if leaks.holds(outputs, generated):
            report("expected no secret outside of a Secret's data", resource.urn)


def _bootstrap(args: StackValidationArgs, report: ReportViolation) -> None:
    generated = _secrets(item for item in args.resources if _is_bootstrap(item.urn))
    for resource, outputs in _objects(args):
        if leaks.holds_anywhere(outputs, generated):
            report("expected the storage key, which opens one Space only", resource.urn)


POLICIES = [
    _policy("restricted-pods", "Pods have no more rights than they need.", _restricted),
    _policy("restricted-namespaces", "Namespaces admit restricted pods only.", _admission),
    _policy("pinned-images", "Images are those that were tested.", _of_objects(pods.unpinned)),
    _policy("known-objects", "Policies see every object, and know its kind.", _hidden),
    _policy("tls", "Passwords are sent over TLS only.", _of_objects(network.plain_http)),
    _policy(
        "no-cloud-credentials",
        "No pod asks the cloud for credentials.",
        _of_objects(network.link_local),
    ),
    _policy(
        "narrow-rights", "Pods read the Secrets only that they need.", _of_objects(rights.broad)
    ),
    StackValidationPolicy("closed-namespaces", "Traffic that nobody allowed is denied.", _closed),
    _policy(
        "private-space",
        "Only storage keys open the Space.",
        lambda args, inputs: cloud.public(args.resource_type, inputs),
    ),
    _policy(
        "kept-images",
        "Images are not deleted with their Space, or by it.",
        lambda args, inputs: cloud.deletable(
            args.resource_type, inputs, protected=args.opts.protect
        ),
    ),
    _policy("narrow-storage-keys", "A storage key opens one bucket.", _broad),
    StackValidationPolicy(
        "narrow-key-in-the-cluster", "The key to all Spaces is not in the cluster.", _bootstrap
    ),
    _policy(
        "secrets-by-name",
        "What sounds like a secret is in a Secret.",
        _of_objects(leaks.named_like_secrets),
    ),
    StackValidationPolicy("secrets-by-value", "Secrets are in Secrets only.", _secret),
]
