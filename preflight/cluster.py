"""Questions to the cluster, by kubectl: it knows every way to log in, and is there with k3s."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import yaml

from preflight.errors import NotReadyError
from preflight.proxy import fetch
from settings.credentials import CloudAccess
from settings.names import STACK_ANNOTATION
from settings.problems import Problem

TIMEOUT_SECONDS = 10
"""For a cluster that does not respond; one that does takes a tenth of a second."""

KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
INGRESSES = "/apis/networking.k8s.io/v1/ingresses"

_LOG_LINE = re.compile(r"[IWEF]\d{4} ")
"""How lines of kubectl's own log begin; the error comes after them, without it.
https://github.com/kubernetes/klog/blob/main/klog.go"""


@dataclass(frozen=True)
class Cluster:
    """The cluster that the provider works on; :class:`NotReadyError` says that it cannot be asked.

    Attributes:
        kubeconfig: Contents; empty for the current one, which kubectl finds as the provider does.
        flags: Which context and cluster of it.
    """

    kubeconfig: str = field(repr=False)
    flags: tuple[str, ...]
    _asked: dict[str, Future[str]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, access: CloudAccess) -> Cluster:
        """Return the cluster that the provider's arguments name."""
        arguments = access.kubernetes
        flags = [f"--{key}={arguments[key]}" for key in ("context", "cluster") if key in arguments]
        return cls(arguments.get("kubeconfig", ""), tuple(flags))

    def ask(self, paths: Iterable[str]) -> None:
        """Request objects or lists that are needed later, without waiting for them."""
        pool = ThreadPoolExecutor()
        wanted = list(paths)
        fetched = pool.submit(fetch, wanted, self._arguments, self.kubeconfig)

        def response(path: str) -> str:
            known = fetched.result()
            return known[path] if path in known else self._kubectl(f"--raw={path}")

        for path in wanted:
            self._asked[path] = pool.submit(response, path)
        pool.shutdown(wait=False)

    def _raw(self, path: str) -> str:
        asked = self._asked.get(path)
        return asked.result() if asked else self._kubectl(f"--raw={path}")

    @property
    def _arguments(self) -> list[str]:
        # Contents go by standard input: arguments are there for everybody to see.
        return [*self.flags, *(["--kubeconfig=/dev/stdin"] if self.kubeconfig else [])]

    def uid(self) -> str:
        """Return what tells this cluster from all others, however it is reached.

        The UID of kube-system serves as a cluster's ID:
        https://github.com/kubernetes/kubernetes/issues/77487
        """
        namespace = json.loads(self._raw(KUBE_SYSTEM))
        return str(namespace["metadata"]["uid"])

    def items(self, path: str) -> list[dict[str, Any]]:
        """Return the objects of a list; none where the cluster does not know their kind."""
        output = self._raw(path)
        items: list[dict[str, Any]] = json.loads(output)["items"] if output else []
        return items

    def told(self, path: str) -> str:
        """Return what the cluster has at a path of its API; empty if it does not tell."""
        try:
            return self._kubectl(f"--raw={path}")
        except NotReadyError:
            return ""

    def knows(self, path: str) -> bool:
        """Return whether the cluster has an API."""
        return bool(self._raw(path))

    def metadata(
        self, kind: str, api_version: str, name: str, namespace: str
    ) -> dict[str, Any] | None:
        """Return an object's metadata and nothing else; None if there is none."""
        group, _, version = api_version.rpartition("/")
        output = self._kubectl(
            *(f"{kind}.{version}.{group}", name, f"--namespace={namespace}"),
            *("--ignore-not-found", "--output=jsonpath={.metadata}"),
        )
        metadata: dict[str, Any] | None = json.loads(output) if output else None
        return metadata

    def owner(self, namespace: str) -> str | None:
        """Return the full name of the stack that manages a namespace; None if there is none."""
        metadata = self.metadata("Namespace", "v1", namespace, "") or {}
        owner: str | None = metadata.get("annotations", {}).get(STACK_ANNOTATION)
        return owner

    def contents(self, namespace: str, kinds: str) -> list[tuple[str, dict[str, Any]]]:
        """Return kind and metadata of the objects in a namespace; nothing else is read."""
        output = self._kubectl(
            *(kinds, f"--namespace={namespace}"),
            '--output=jsonpath={range .items[*]}{.kind}{" "}{.metadata}{"\\n"}{end}',
        )
        lines = [line.partition(" ") for line in output.splitlines()]
        return [(kind, json.loads(metadata)) for kind, _, metadata in lines]

    def _kubectl(self, *args: str) -> str:
        """Return the output of kubectl, which is empty if there is no such thing."""
        try:
            result = subprocess.run(
                ["kubectl", "get", *args, *self._arguments],
                input=self.kubeconfig,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise NotReadyError(
                Problem(
                    "PATH",
                    os.environ.get("PATH", ""),
                    "expected kubectl, to ask the cluster whether others use the same names",
                    "https://kubernetes.io/docs/tasks/tools/",
                )
            ) from None
        except subprocess.TimeoutExpired:
            raise self._not_ready(f"no response within {TIMEOUT_SECONDS} s") from None
        if result.returncode and "(NotFound)" not in result.stderr:
            raise self._not_ready(self._reason(result.stderr))
        return result.stdout

    def _not_ready(self, reason: str) -> NotReadyError:
        return NotReadyError(
            Problem(
                "kubernetes:kubeconfig",
                "[secret]" if self.kubeconfig else "(not set: KUBECONFIG and ~/.kube/config)",
                f"expected a cluster that can be asked: {reason}",
                "kubectl get namespaces,ingresses --all-namespaces must work with it; another "
                "one: export KUBECONFIG=<path>, or\n"
                "pulumi config set --secret kubernetes:kubeconfig < kubeconfig",
            )
        )

    def _reason(self, stderr: str) -> str:
        """Return the last line of an error without anything that a kubeconfig keeps secret."""
        lines = [line for line in stderr.splitlines() if line.strip() and not _LOG_LINE.match(line)]
        reason = lines[-1].strip() if lines else "kubectl does not say why"
        kubeconfig = yaml.safe_load(self.kubeconfig) or {}
        for secret in _texts(kubeconfig.get("users")):
            reason = reason.replace(secret, "[secret]")
        return reason


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in a value that are long enough to be secrets."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str) and len(value) >= 8:
        yield value
