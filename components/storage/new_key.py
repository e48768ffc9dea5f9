"""Hooks for the creation of a storage key: Spaces learns of it late, and older ones may be left."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urljoin

import pulumi

from scripts.s3 import Bucket, Key
from scripts.storage_errors import NEW_SECONDS

Hook = Callable[[pulumi.ResourceHookArgs], Awaitable[None]]
"""What the engine calls after it has created a resource."""

POLL_SECONDS = 2

API_SECONDS = 10
"""How long the API may take to respond; it usually does within a second."""


def wait_until_known(endpoint: str, region: str) -> Hook:
    """Return a hook that waits until Spaces accepts a new key for all Spaces.

    Args:
        endpoint: The URL of Spaces; ``{{.Region}}`` in it stands for the region.
        region: The region that requests are signed for.
    """
    url = endpoint.replace("{{.Region}}", region)

    async def wait(args: pulumi.ResourceHookArgs) -> None:
        outputs: dict[str, Any] = dict(args.new_outputs or {})
        key = Key(outputs["accessKey"], await outputs["secretKey"].future())
        spaces = Bucket(endpoint=url, region=region, name="", path_style=True, key=key)
        started = time.monotonic()
        while not await asyncio.to_thread(_accepts, spaces):
            seconds = time.monotonic() - started
            if seconds > NEW_SECONDS:
                raise pulumi.RunError(
                    f"{url} does not accept the new key {key.access} after {NEW_SECONDS} s; "
                    "fix: run `pulumi up` again later"
                )
            pulumi.log.info(
                f"waiting until Spaces accepts the new key {key.access}: {seconds:.0f} s, "
                f"for up to {NEW_SECONDS} s",
                ephemeral=True,
            )
            await asyncio.sleep(POLL_SECONDS)

    return wait


def _accepts(spaces: Bucket) -> bool:
    """Return whether no server of Spaces refuses the key, as far as a few requests can tell."""
    try:
        return all(spaces.request("GET").status != 403 for _ in range(3))
    except (OSError, http.client.HTTPException):
        # The provider will say what is wrong with the endpoint.
        return True


def report_others(api_endpoint: str, token: str) -> Hook:
    """Return a hook that reports the keys that have the same name as a new one.

    Only the response to its creation has a key's secret, so an update that is killed at that moment
    leaves a key that nothing can use and no state names.

    Args:
        api_endpoint: The URL of DigitalOcean's API.
        token: The API token.
    """

    async def report(args: pulumi.ResourceHookArgs) -> None:
        outputs: dict[str, Any] = dict(args.new_outputs or {})
        name = outputs["name"]
        try:
            keys = await asyncio.to_thread(_keys, api_endpoint, token, name)
        except (OSError, http.client.HTTPException, ValueError) as error:
            pulumi.log.warn(
                f"whether interrupted updates have left storage keys called {name} is unknown: "
                f"{error}; fix: doctl spaces keys list, and delete all but {outputs['accessKey']}"
            )
            return
        for key in keys:
            if key["name"] == name and key["access_key"] != outputs["accessKey"]:
                pulumi.log.warn(
                    f"another storage key is called {name}: {key['access_key']} of "
                    f"{key['created_at']}. If this update replaces it, it is deleted at the end. "
                    "If not, an interrupted update has left it, and nothing uses it; "
                    f"fix: doctl spaces keys delete {key['access_key']}"
                )

    return report


def _keys(api_endpoint: str, token: str, name: str) -> list[dict[str, str]]:
    """Return the account's storage keys of a name.

    https://docs.digitalocean.com/reference/api/reference/spaces-keys/
    """
    query = urlencode({"name": name, "per_page": 200})
    url = urljoin(api_endpoint, f"v2/spaces/keys?{query}")
    request = urllib.request.Request(url)  # noqa: S310 - the user's own setting
    # Not sent to where a redirect leads.
    request.add_unredirected_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=API_SECONDS) as response:  # noqa: S310 - likewise
        keys: list[dict[str, str]] = json.load(response)["keys"]
    return keys
