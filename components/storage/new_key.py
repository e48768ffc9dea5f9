"""Space and storage keys: new keys are known late, and older ones may be left."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode, urljoin

import pulumi
import pulumi_digitalocean as digitalocean

from preflight.cloud import get
from preflight.errors import NotReadyError
from scripts.shared.s3 import Bucket, Key
from scripts.storage.storage_errors import NEW_SECONDS
from settings.credentials import CloudAccess

Hook = Callable[[pulumi.ResourceHookArgs], Awaitable[None]]
"""What the engine calls before it creates a resource."""

POLL_SECONDS = 2


def wait_for_key(spaces: digitalocean.Provider, region: str) -> Hook:
    """Return a hook that waits until Spaces accepts the key that creates a Space.

    The key may be brand-new. It is in the state already, so that nothing is lost if somebody
    interrupts the update because the wait takes too long.
    """

    async def wait(_: pulumi.ResourceHookArgs) -> None:
        endpoint = str(await spaces.spaces_endpoint.future()).replace("{{.Region}}", region)
        key = Key(
            access=str(await spaces.spaces_access_id.future()),
            secret=str(await spaces.spaces_secret_key.future()),
        )
        account = Bucket(endpoint, region, name="", path_style=True, key=key)
        started = time.monotonic()
        while not await asyncio.to_thread(_accepts, account):
            seconds = time.monotonic() - started
            if seconds > NEW_SECONDS:
                raise pulumi.RunError(
                    f"{endpoint} does not accept the new key {key.access} after {NEW_SECONDS} s; "
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


def report_others(access: CloudAccess) -> Hook:
    """Return a hook that reports the keys that have the same name as a new one.

    Only the response to its creation has a key's secret, so an update that is killed at that moment
    leaves a key that nothing can use and no state names.
    """

    async def report(args: pulumi.ResourceHookArgs) -> None:
        name = (args.new_inputs or {})["name"]
        try:
            keys = await asyncio.to_thread(_keys, access, name)
        except (NotReadyError, ValueError) as error:
            pulumi.log.warn(
                f"whether interrupted updates have left storage keys called {name} is unknown: "
                f"{error}; fix: doctl spaces keys list"
            )
            return
        for key, created in keys:
            pulumi.log.warn(
                f"a storage key called {name} exists: {key} of {created}. If this update replaces "
                "it, it is deleted at the end. If not, an interrupted update has left it, and "
                f"nothing uses it; fix: doctl spaces keys delete {key}"
            )

    return report


def _keys(access: CloudAccess, name: str) -> list[tuple[str, str]]:
    """Return the access keys of the account's storage keys of a name, and when they were created.

    https://docs.digitalocean.com/reference/api/reference/spaces-keys/

    Raises:
        NotReadyError, ValueError: They cannot be listed.
    """
    path = f"v2/spaces/keys?{urlencode({'name': name, 'per_page': 200})}"
    response = get(access, path)
    if response.status != 200:
        raise ValueError(f"HTTP status {response.status}")
    try:
        keys = [key for key in json.loads(response.body)["keys"] if key["name"] == name]
        return [(key["access_key"], key["created_at"]) for key in keys]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ValueError(f"{urljoin(access.api_endpoint, path)} is no list of keys") from None
