"""The pods of the registry, each of which remembers for itself which blobs exist.

A pod's memory has no time limit, so it goes on to say that a blob exists which is deleted:
https://github.com/distribution/distribution/issues/1803
"""

from __future__ import annotations

import base64
import http.client
import socket
import time
from collections.abc import Iterable

from scripts.shared.objects import RETRY_SECONDS, Objects

REQUEST_SECONDS = 60


class ForgetError(Exception):
    """A pod may still remember a layer."""


Memory = tuple[str, str]
"""What pods are to forget: a repository, and the digest of a layer."""


class Pods:
    """All pods of the registry.

    Args:
        service: Host and port of a headless Service.
        username: The user to log in as, who may make pods forget.
    """

    def __init__(self, service: str, username: str, password: str) -> None:
        self._host, _, self._port = service.partition(":")
        login = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    def forget(self, objects: Objects, memories: Iterable[Memory]) -> None:
        """Make each pod forget that some layers exist.

        A request to delete a blob makes the pod forget it, then delete its link. Here the link is
        deleted already, and somebody may just have pushed the layer again: so it is asked for as if
        it were a manifest, whose link does not exist. The response is 404 if the pod did not
        remember the layer, and 500 if it did:
        https://github.com/distribution/distribution/blob/v3.1.2/registry/storage/cache/cachedblobdescriptorstore.go

        Args:
            objects: Whose threads are used.

        Raises:
            ForgetError: If a pod may still remember any of it.
        """
        asked = [(pod, memory) for pod in self.addresses() for memory in memories]
        objects.each(lambda pair: self._ask(*pair), asked)

    def addresses(self) -> list[str]:
        """Return the address of each pod, ready or not."""
        try:
            addresses = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ForgetError(f"{self._host} names no pod: {error}") from error
        return sorted({str(address[4][0]) for address in addresses})

    def _ask(self, pod: str, memory: Memory) -> None:
        repository, digest = memory
        path = f"/v2/{repository}/manifests/{digest}"
        for pause in (*RETRY_SECONDS, None):
            try:
                status = self._delete(pod, path)
                if status in {404, 500}:
                    return
                problem = f"DELETE {path}: {status}, not 404 or 500"
                if status < 500:
                    break
            except (OSError, http.client.HTTPException) as error:
                # Network policies learn of this pod a while after its start.
                problem = str(error) or type(error).__name__
            if pause is not None:
                time.sleep(pause)
        raise ForgetError(f"pod {pod}: {problem}")

    def _delete(self, pod: str, path: str) -> int:
        connection = http.client.HTTPConnection(pod, int(self._port), timeout=REQUEST_SECONDS)
        try:
            connection.request("DELETE", path, headers=self._headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()
