"""Spaces: found by the run's name, and deleted with all that is in them."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from xml.etree import ElementTree

from live.names import Run
from scripts.shared.objects import Objects
from scripts.shared.response import Response
from scripts.shared.s3 import Bucket

KNOWN_SECONDS = 300
"""Within which Spaces should know a new key; DigitalOcean's documentation has no figure."""

GONE_SECONDS = 60
"""Within which a deleted Space should not be listed any more."""


class SpacesError(Exception):
    """Spaces does not do what it was asked for; says why."""


class Spaces:
    """The Spaces of a region.

    Args:
        account: The server with a key that may do everything, without a Space.
        run: The run whose Spaces alone are looked at.
        sleep: Waits for some seconds.
    """

    def __init__(self, account: Bucket, run: Run, sleep: Callable[[float], None]) -> None:
        self._account = account
        self._run = run
        self._sleep = sleep

    def names(self) -> list[str]:
        """Return the names of the run's Spaces; the key may be new.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html

        Raises:
            SpacesError: They cannot be listed.
        """
        deadline = time.monotonic() + KNOWN_SECONDS
        response = self._send(self._account, "GET")
        while response.status == 403 and time.monotonic() < deadline:
            self._sleep(2)
            response = self._send(self._account, "GET")
        if response.status != 200:
            raise SpacesError(f"the list of Spaces: {response.status} {response.excerpt()}")
        root = ElementTree.fromstring(response.body)  # noqa: S314 - it resolves no external entities
        names = [element.text or "" for element in root.iter() if _is(element, "Name")]
        return [name for name in names if self._run.has_space(name)]

    def delete(self, name: str) -> None:
        """Delete a Space, its objects, and what uploads that never ended have left in it.

        Raises:
            SpacesError: It is not the run's, or cannot be deleted.
            scripts.shared.objects.StorageError: Its objects cannot be deleted.
        """
        if not self._run.has_space(name):
            raise SpacesError(f"the Space {name} is not of {self._run.name}")
        space = replace(self._account, name=name)
        with Objects(space) as objects:
            objects.each(objects.delete, [entry.key for entry in objects.list("")])
        self._abort_uploads(space)
        response = self._send(space, "DELETE")
        if response.status not in {200, 204, 404}:
            raise SpacesError(f"the Space {name}: {response.status} {response.excerpt()}")
        deadline = time.monotonic() + GONE_SECONDS
        while name in self.names() and time.monotonic() < deadline:
            self._sleep(2)

    def _abort_uploads(self, space: Bucket) -> None:
        """Abort them, as https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html."""
        response = self._send(space, "GET", query={"uploads": ""})
        if response.status != 200:
            return
        root = ElementTree.fromstring(response.body)  # noqa: S314 - it resolves no external entities
        for upload in [element for element in root.iter() if _is(element, "Upload")]:
            fields = {child.tag.rpartition("}")[2]: child.text or "" for child in upload}
            query = {"uploadId": fields["UploadId"]}
            self._send(space, "DELETE", fields["Key"], query)

    @staticmethod
    def _send(
        bucket: Bucket, method: str, name: str = "", query: dict[str, str] | None = None
    ) -> Response:
        """Send a request, again if there is no response."""
        for _ in range(3):
            with suppress(OSError, http.client.HTTPException):
                return bucket.request(method, name, query or {})
        raise SpacesError(f"{bucket.endpoint} does not respond")


def _is(element: ElementTree.Element, name: str) -> bool:
    return element.tag.rpartition("}")[2] == name
