"""The account: droplets, SSH keys, tags and Spaces keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from live.names import Run
from preflight import cloud
from preflight.errors import NotReadyError
from scripts.shared.response import Response
from settings.credentials import CloudAccess

SCOPES = (
    "droplet:create, read and delete; ssh_key:create, read and delete; tag:create, read and "
    "delete; spaces_key:create_credentials, read, update and delete; sizes:read"
)
"""Those that the token needs, besides those that the console adds as required by these:
https://docs.digitalocean.com/reference/api/scopes/"""

Item = dict[str, Any]


class CloudError(Exception):
    """DigitalOcean's API does not do what it was asked for; says why.

    Args:
        message: What was asked, and why it was not done.
        status: That of the response; 0 if there is none.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Cloud:
    """DigitalOcean's API, with a token.

    Args:
        access: The token, and the API's URL.
    """

    def __init__(self, access: CloudAccess) -> None:
        self._access = access

    def droplets(self) -> list[Item]:
        """Return all droplets of the account."""
        return self._list("v2/droplets", "droplets")

    def droplet(self, identifier: int) -> Item:
        """Return a droplet."""
        droplet: Item = self._call("GET", f"v2/droplets/{identifier}")["droplet"]
        return droplet

    def ssh_keys(self) -> list[Item]:
        """Return the SSH keys of the account."""
        return self._list("v2/account/keys", "ssh_keys")

    def tags(self) -> list[Item]:
        """Return the tags of the account."""
        return self._list("v2/tags", "tags")

    def spaces_keys(self) -> list[Item]:
        """Return the Spaces keys of the account, without their secrets."""
        return self._list("v2/spaces/keys", "keys")

    def sizes(self) -> list[Item]:
        """Return the sizes that droplets may have."""
        return self._list("v2/sizes", "sizes")

    def create_ssh_key(self, run: Run, public_key: str) -> Item:
        """Add an SSH key; without one, DigitalOcean mails a password for each droplet."""
        body = {"name": run.name, "public_key": public_key}
        key: Item = self._call("POST", "v2/account/keys", body)["ssh_key"]
        return key

    def create_droplet(self, run: Run, **arguments: object) -> Item:
        """Create the run's droplet."""
        body = {"name": run.name, "tags": [run.name], **arguments}
        droplet: Item = self._call("POST", "v2/droplets", body)["droplet"]
        return droplet

    def create_spaces_key(self, name: str) -> Item:
        """Create a Spaces key with full access; only this response has its secret."""
        body = {"name": name, "grants": [{"bucket": "", "permission": "fullaccess"}]}
        key: Item = self._call("POST", "v2/spaces/keys", body)["key"]
        return key

    def delete(self, path: str) -> None:
        """Delete what is at a path; it may be gone already."""
        try:
            self._call("DELETE", path)
        except CloudError as error:
            if error.status != 404:
                raise

    def _list(self, path: str, key: str) -> list[Item]:
        """Return all pages of a list."""
        items: list[Item] = []
        for page in range(1, 1000):
            query = urlencode({"page": page, "per_page": 200})
            answer = self._call("GET", f"{path}?{query}")
            items += answer[key]
            if not answer[key] or len(items) >= answer["meta"]["total"]:
                break
        return items

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Item:
        sent = None if body is None else json.dumps(body).encode()
        what = f"{method} {path.partition('?')[0]}"
        try:
            response = cloud.ask(self._access, method, path, sent)
        except NotReadyError as error:
            raise CloudError(f"{what}: {error}") from error
        if response.status >= 400:
            raise CloudError(f"{what}: {response.status} {_reason(response)}", response.status)
        try:
            answer: Item = json.loads(response.body or b"{}")
        except ValueError:
            raise CloudError(f"{what}: the response is no JSON") from None
        return answer


def _reason(response: Response) -> str:
    if response.status in {401, 403}:
        return f"the API token in DIGITALOCEAN_TOKEN needs the scopes {SCOPES}"
    try:
        return str(json.loads(response.body)["message"])
    except (ValueError, LookupError, TypeError):
        return response.excerpt()
