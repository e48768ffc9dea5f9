"""A lock in the cluster, which one holder at a time has: a Lease with a finalizer.

The Lease of a holder that does not come back stays, and nobody else gets the lock. A Lease that is
deleted stays as well until its holder is done, because of the finalizer:
https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/

Plain Python 3.9.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

API_SERVER = "https://kubernetes.default.svc"

FINALIZER = "k3s-registry/held"

TIMEOUT_SECONDS = 300
"""How long an API server may not answer: it may be the one that the holder restarts."""

RETRY_SECONDS = 2


class LeaseError(Exception):
    """The lock could not be taken, kept or released; says why."""


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
        self.token = credentials / "token"
        self.ssl_context = ssl.create_default_context(cafile=credentials / "ca.crt")
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
        """Give the lock to the next one, unless it was taken away from this holder."""
        self._call("DELETE", self.name, {"preconditions": {"uid": self.uid}})
        self._call("PATCH", self.name, {"metadata": {"uid": self.uid, "finalizers": None}})

    def _command(self) -> str:
        lease = f"--namespace={self.namespace} lease {self.name}"
        return (
            f"kubectl delete {lease} --wait=false; "
            f"""kubectl patch {lease} --type=merge --patch='{{"metadata":{{"finalizers":null}}}}'"""
        )

    def _call(self, method: str, name: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Return the response to one request; None if the Lease is another one, or there is none.

        An API server that does not answer is waited for.
        """
        url = (
            f"{API_SERVER}/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases/{name}"
        ).rstrip("/")
        data = None if body is None else json.dumps(body).encode()
        kind = "merge-patch+json" if method == "PATCH" else "json"
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while True:
            # Read each time, as the kubelet renews it.
            headers = {
                "Authorization": f"Bearer {self.token.read_text()}",
                "Content-Type": f"application/{kind}",
            }
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the API server's
            try:
                with urllib.request.urlopen(  # noqa: S310 - likewise
                    request, timeout=10, context=self.ssl_context
                ) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                with error:
                    # Of a patch, 422 says that the UID in it is another one's.
                    if error.code in {404, 409} or (error.code == 422 and method == "PATCH"):
                        return None
                    problem = f"{error.code} {error.read()[:300].decode(errors='replace')}"
            except OSError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise LeaseError(f"{method} {url}: {problem}")
            time.sleep(RETRY_SECONDS)
