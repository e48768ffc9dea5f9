"""Programs made to break each sentence of docs/policies.md."""

from __future__ import annotations

import copy
import inspect
import itertools
from collections.abc import Iterator
from typing import Any

from pulumi_kubernetes import core
from pydantic.alias_generators import to_camel

from policy.cloud import BUCKET, KEY, OBJECT, OPENINGS
from policy.pods import EXPECTED, PROJECTED, VOLUMES
from tests.unit.policy.analyzer import urn
from tests.unit.policy.test_pods import POD

Breach = tuple[str, dict[str, Any]]
"""The type of a resource, or the kind of an object, and its inputs."""

Stack = list[tuple[str, str, dict[str, Any]]]
"""The URN, type and outputs of each resource."""


def workloads(spec: dict[str, Any]) -> Iterator[Breach]:
    """Yield all that makes pods, with these."""
    template = {"template": {"spec": spec}}
    yield "Pod", {"spec": spec}
    yield "PodTemplate", template
    for kind in ("Deployment", "DaemonSet", "Job"):
        yield kind, {"spec": template}
    yield "CronJob", {"spec": {"jobTemplate": {"spec": template}}}


def fields(kind: type) -> set[str]:
    """Return the fields of one of Kubernetes' types."""
    return {to_camel(name) for name in inspect.signature(kind).parameters}


def with_container(container: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield pods that have a container at each place."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        pod = copy.deepcopy(POD)
        pod.setdefault(kind, []).append({**POD["containers"][0], **container})
        yield pod


def unrestricted() -> Iterator[Breach]:
    pods: list[dict[str, Any]] = []
    pods += [{**POD, shared: True} for shared in ("hostNetwork", "hostPID", "hostIPC")]
    pods += [{**POD, "automountServiceAccountToken": x} for x in (None, True)]
    for kind in sorted(fields(core.v1.VolumeArgs) - VOLUMES - {"name"}):
        pods.append({**POD, "volumes": [{"name": "a"}, {"name": "b", kind: {}}]})
    for source in sorted(fields(core.v1.VolumeProjectionArgs) - PROJECTED):
        sources: list[Any] = [{"configMap": {}}, {source: {}}]
        pods.append({**POD, "volumes": [{"name": "a", "projected": {"sources": sources}}]})
    for field in sorted(fields(core.v1.SecurityContextArgs)):
        for odd in ({"a": "b"}, 0, "x", True, False):
            if odd == EXPECTED.get(field):
                continue  # To Python 0 is False, and the API server takes no number.
            context = {**EXPECTED, field: odd}
            pods += with_container({"securityContext": context})
            pods.append({**POD, "securityContext": {field: odd}, "containers": [{"image": "a:1"}]})
    pods += with_container({"ports": [{"containerPort": 1}, {"containerPort": 2, "hostPort": 2}]})
    return itertools.chain.from_iterable(map(workloads, pods))


def open_doors() -> Iterator[Breach]:
    for level in ("baseline", "privileged", "Restricted", "", None):
        labels = {"pod-security.kubernetes.io/enforce": level}
        yield "Namespace", {"metadata": {"labels": labels}}
    yield "Namespace", {"metadata": {"labels": {"pod-security.kubernetes.io/warn": "restricted"}}}


def unpinned() -> Iterator[Breach]:
    names = ("a", "docker.io/library/a", "a.b:5000/c")
    for image in (*names, *(f"{x}:latest" for x in names), "a@sha256:0", "", " a:1", "a:", None):
        for pod in with_container({"image": image}):
            yield from workloads(pod)


def unknown() -> Iterator[Breach]:
    """Yield other kinds, most of which lead to the registry without its ingress or hold objects."""
    gateway = ("GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "Gateway")
    yield from ((f"kubernetes:gateway.networking.k8s.io/v1:{kind}", {}) for kind in gateway)
    for kind in (
        *("traefik.io/v1alpha1:IngressRouteUDP", "networking.istio.io/v1:VirtualService"),
        *("route.openshift.io/v1:Route", "projectcontour.io/v1:HTTPProxy"),
        *("serving.knative.dev/v1:Service", "cilium.io/v2:CiliumNetworkPolicy"),
        *("helm.sh/v3:Release", "core/v1:SecretList", "core/v1:Endpoints", "core/v1:PodPatch"),
        *("rbac.authorization.k8s.io/v1:ClusterRole", "core/v1:PersistentVolume"),
        *("rbac.authorization.k8s.io/v1:ClusterRoleBinding", "networking.k8s.io/v1:IngressPatch"),
    ):
        yield f"kubernetes:{kind}", {"kind": kind.split(":")[1]}


def broad_rights() -> Iterator[Breach]:
    for group, resource, verb in itertools.product(
        (["", "apps"], ["*"]),
        (["secrets"], ["configmaps", "secrets"], ["*"]),
        (["get"], ["list"], ["watch"], ["patch"], ["delete"], ["create", "get"], ["*"]),
    ):
        harmless = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}
        rule = {"apiGroups": group, "resources": resource, "verbs": verb}
        yield "Role", {"rules": [harmless, rule]}
        yield "Role", {"rules": [harmless, {**rule, "resourceNames": []}]}
    for name in ("cluster-admin", "view", "a"):
        yield "RoleBinding", {"roleRef": {"kind": "ClusterRole", "name": name}}
    yield "Secret", {"type": "kubernetes.io/service-account-token"}


def public_spaces() -> Iterator[Breach]:
    others = ("public-read", "public-read-write", "authenticated-read")
    yield from ((BUCKET, {"acl": acl}) for acl in (None, *others))
    yield from ((OBJECT, {"acl": acl}) for acl in others)
    yield from ((kind, {}) for kind in OPENINGS)


def lost_images() -> Iterator[Breach]:
    yield BUCKET, {"forceDestroy": True}
    for rule in ({"days": 1}, {"date": "2030-01-01"}):
        rules = [{"id": "a"}, {"id": "b", "enabled": True, "expiration": rule}]
        yield BUCKET, {"forceDestroy": False, "lifecycleRules": rules}


def broad_keys() -> Iterator[Breach]:
    one = {"bucket": "a", "permission": "readwrite"}
    for grant in itertools.product(("a", "", None), ("readwrite", "read", "fullaccess", None)):
        wrong = dict(zip(("bucket", "permission"), grant, strict=True))
        yield KEY, {"grants": [one, wrong]}
        if wrong != one:
            yield KEY, {"grants": [wrong]}
    yield KEY, {}
    yield KEY, {"grants": []}


def resource(kind: str, outputs: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    token = f"kubernetes:core/v1:{kind}"
    return urn(token), token, {"kind": kind, **outputs}
