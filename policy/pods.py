"""Rules for pods: the contexts of components/pod_security.py, and images that stay the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from components.pod_security import restricted_container, restricted_pod
from policy.reading import UNKNOWN, at, elements, fits, keys
from settings.types import Image

_PATHS = (
    ("spec", "jobTemplate", "spec", "template", "spec"),
    ("spec", "template", "spec"),
    ("template", "spec"),
)
"""Where workloads have the spec of their pods."""

PROJECTED = {"configMap", "downwardAPI", "secret"}
"""What may be projected into any pod: the others are tokens and keys for the API server."""

VOLUMES = {"configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
"""Those of the "restricted" Pod Security Standard but for what drivers mount:
https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""

_IMAGE: TypeAdapter[str] = TypeAdapter(Image)


def _camel(value: object) -> Any:
    if isinstance(value, dict):
        return {to_camel(key): _camel(inner) for key, inner in value.items()}
    return value


EXPECTED: dict[str, Any] = _camel({**restricted_pod(), **restricted_container()})
"""The security context that every container ends up with."""

CAPABILITIES = {"NET_BIND_SERVICE"}
"""The one that the "restricted" standard lets a container add."""

_ROOT = {
    "runAsNonRoot": False,
    "runAsUser": 0,
    "runAsGroup": 0,
}
"""What the node configurator may have instead: it writes files of root's."""


def pod_spec(inputs: dict[str, Any]) -> Any:
    """Return the spec of the pods that an object makes; None if it makes none."""
    if inputs.get("kind") == "Pod":
        return at(inputs, "spec")
    return next((spec for path in _PATHS if (spec := at(inputs, *path)) is not None), None)


def containers(spec: Any) -> Iterator[tuple[str, Any]]:
    """Yield each container of a pod with its name."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in elements(at(spec, kind)):
            name = at(container, "name")
            yield ("a container" if name in (None, UNKNOWN) else f"container {name}"), container


def unrestricted(
    inputs: dict[str, Any], *, configures_nodes: bool, asks_api_server: str
) -> Iterator[str]:
    """Yield what a pod may do that no pod of the registry may.

    Args:
        configures_nodes: Whether it belongs to the node configurator, which may be root on a node.
        asks_api_server: The kind of its containers that may have an API token; empty for none.
    """
    if (spec := pod_spec(inputs)) is None:
        return
    for shared in ("hostNetwork", "hostPID", "hostIPC"):
        if not fits(at(spec, shared), None, False):
            yield f"{shared}: expected it not to be set"
    if not fits(at(spec, "automountServiceAccountToken"), False):
        yield "automountServiceAccountToken: expected false"
    volumes = VOLUMES | ({"hostPath"} if configures_nodes else set())
    for volume in elements(at(spec, "volumes")):
        for kind in set(keys(volume)) - volumes - {"name"}:
            yield f"volumes: expected none of kind {kind}"
    yield from _tokens(spec, asks_api_server)
    for name, container in containers(spec):
        for problem in _context(spec, container, configures_nodes=configures_nodes):
            yield f"{name}: {problem}"
        if any(keys(port).count("hostPort") for port in elements(at(container, "ports"))):
            yield f"{name}: hostPort: expected it not to be set"


def _tokens(spec: Any, asks_api_server: str) -> Iterator[str]:
    tokens = {
        at(volume, "name")
        for volume in elements(at(spec, "volumes"))
        for source in elements(at(volume, "projected", "sources"))
        if set(keys(source)) - PROJECTED
    }
    if tokens and not asks_api_server:
        yield "volumes: expected no API token"
    # Those that may have one run scripts; the others face the network, or are unknown.
    others = "initContainers" if asks_api_server == "containers" else "containers"
    for container in elements(at(spec, others)):
        for mount in elements(at(container, "volumeMounts")):
            if at(mount, "name") in tokens:
                yield f"container {at(container, 'name')}: volumeMounts: expected no API token"


def _context(spec: Any, container: Any, *, configures_nodes: bool) -> Iterator[str]:
    own, shared = at(container, "securityContext"), at(spec, "securityContext")
    for key, expected in EXPECTED.items():
        value = at(own, key)
        value = at(shared, key) if value is None else value
        if key == "capabilities":
            allowed = CAPABILITIES | ({"SYS_CHROOT"} if configures_nodes else set())
            dropped = at(value, "drop")
            if not fits(dropped, expected["drop"]) or set(elements(at(value, "add"))) - allowed:
                yield "capabilities: expected all to be dropped, and at most NET_BIND_SERVICE added"
        elif not fits(
            value, expected, *([_ROOT[key]] if configures_nodes and key in _ROOT else [])
        ):
            yield f"securityContext.{key}: expected that of components/pod_security.py"
    for key in {*keys(own), *keys(shared)} - set(EXPECTED):
        yield f"securityContext.{key}: expected only keys of components/pod_security.py"


def unpinned(inputs: dict[str, Any]) -> Iterator[str]:
    """Yield each container whose image may be another one tomorrow."""
    for name, container in containers(pod_spec(inputs)):
        image = at(container, "image")
        if image is UNKNOWN:
            continue
        try:
            _IMAGE.validate_python(image)
        except ValidationError:
            yield f"{name}: image: expected name:tag, with a tag that stays, or a digest"
