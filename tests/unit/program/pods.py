"""The pods that the program runs, as Kubernetes sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.unit.program.engine import Engine


@dataclass(frozen=True)
class Pod:
    """A pod of a workload.

    Attributes:
        name: Its component label, which tells it from other pods of the program.
        namespace: Its namespace.
        labels: All its labels.
        spec: Its spec.
    """

    name: str
    namespace: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def pods(engine: Engine) -> Iterator[Pod]:
    """Return a pod of each workload, CronJobs included."""
    for resource in engine.resources.values():
        spec = resource.inputs.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            labels = spec["template"]["metadata"]["labels"]
            yield Pod(
                name=labels["app.kubernetes.io/component"],
                namespace=resource.inputs["metadata"]["namespace"],
                labels=labels,
                spec=spec["template"]["spec"],
            )
