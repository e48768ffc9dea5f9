"""A lock in the cluster, which one holder at a time has: a Lease with a finalizer.

The Lease of a holder that does not come back stays, and nobody else gets the lock. A Lease that is
deleted stays as well until its holder is done, because of the finalizer:
https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from scripts.shared.api_server import ApiServer

FINALIZER = "k3s-registry/held"

RETRY_SECONDS = 2


class LeaseError(Exception):
    """The lock was lost; says why."""


class Lease:
    """A lock.

    Args:
        lease: The namespace and the name of the Lease, as ``namespace/name``.
        holder: Who takes it; whoever has the same name has the same lock.
        credentials: A folder with the files token and ca.crt of a service account that may create,
            get, patch and delete the Lease.
    """

    def __init__(self, lease: str, holder: str, credentials: Path) -> None:
        self.namespace, self.name = lease.split("/")
        self.holder = holder
        self.server = ApiServer(credentials)
        self.uid = ""

    def take(self) -> None:
        """Wait until nobody else holds the lock; return at once if this holder did already."""
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "finalizers": [FINALIZER]},
            "spec": {
                "holderIdentity": self.holder,
                "acquireTime": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
            },
        }
        printed = ""
        while True:
            lease = self._call("POST", "", body) or self._call("GET", self.name)
            if lease:
                holder, since = (
                    lease["spec"].get(key) for key in ("holderIdentity", "acquireTime")
                )
                if holder == self.holder:
                    self.uid = lease["metadata"]["uid"]
                    return
                text = f"waiting for {holder}, which has held the lock since {since}"
                if text != printed:
                    print(f"{text}; if it is gone for good: {self._command()}", flush=True)
                printed = text
            time.sleep(RETRY_SECONDS)

    def check(self) -> None:
        """Raise LeaseError if the lock was taken away from this holder."""
        lease = self._call("GET", self.name)
        if not lease or lease["metadata"]["uid"] != self.uid:
            raise LeaseError("the lock was taken away meanwhile")

    def release(self) -> None:
        """Release the lock, unless it was taken away from this holder."""
        self._call("DELETE", self.name, {"preconditions": {"uid": self.uid}})
        self._call("PATCH", self.name, {"metadata": {"uid": self.uid, "finalizers": None}})

    def _command(self) -> str:
        lease = f"--namespace={self.namespace} lease {self.name}"
        return (
            f"kubectl delete {lease} --wait=false; "
            f"""kubectl patch {lease} --type=merge --patch='{{"metadata":{{"finalizers":null}}}}'"""
        )

    def _call(self, method: str, name: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{name}"
        return self.server.call(method, path.rstrip("/"), body)
