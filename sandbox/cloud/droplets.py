"""The account's droplets, SSH keys and tags, which DigitalOcean's API stand-in stores.

No machine starts with a droplet: all have the address of the sandbox's second node, and are active
after :attr:`Droplets.boot_seconds`. What boots there is for a test to do, by the user data and keys
that the file has: tests/sandbox/droplet.py. Not covered: actions, all other resources of tags, and
the API's checks of names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from sandbox.cloud.errors import ApiError, NotFoundError
from sandbox.cloud.key import Body
from sandbox.cloud.pages import page

SIZES = {
    "s-1vcpu-2gb": {"memory": 2048, "vcpus": 1, "disk": 50, "transfer": 2.0},
    "s-2vcpu-4gb": {"memory": 4096, "vcpus": 2, "disk": 80, "transfer": 4.0},
}
_PRICES = {"s-1vcpu-2gb": (12.0, 0.01786), "s-2vcpu-4gb": (24.0, 0.03571)}
"""In US dollars a month, and an hour: https://www.digitalocean.com/pricing/droplets"""

_REGIONS = ["ams3", "fra1", "nyc3"]
_IMAGES = ["debian-12-x64", "debian-13-x64"]
_USER_DATA_BYTES = 64 * 1024
"""https://docs.digitalocean.com/reference/api/reference/droplets/"""


def sizes() -> list[Body]:
    """Return what droplets may be made of."""
    return [
        {
            "slug": slug,
            **size,
            "description": "Basic",
            "price_monthly": _PRICES[slug][0],
            "price_hourly": _PRICES[slug][1],
            "regions": _REGIONS,
            "available": True,
        }
        for slug, size in SIZES.items()
    ]


class Droplets:
    """Droplets, and what they need.

    Args:
        path: The file that stores them.
        address: The public address of every droplet.
    """

    def __init__(self, path: Path, address: str) -> None:
        self._path = path
        self._address = address
        self.boot_seconds = 2.0
        """From the creation of a droplet until it is active."""
        self._stored: dict[str, Any] = {"droplets": [], "ssh_keys": [], "tags": [], "last_id": 0}
        if path.exists():
            self._stored |= json.loads(path.read_text())

    def create(self, body: Body) -> Body:
        """Create a droplet."""
        size = next((x for x in sizes() if x["slug"] == body.get("size")), None)
        keys = {key for x in self._stored["ssh_keys"] for key in (x["id"], x["fingerprint"])}
        for wrong, message in (
            (not body.get("name"), "name is required"),
            (not size, "You specified an invalid size for Droplet creation."),
            (body.get("region") not in _REGIONS, "You specified an invalid region"),
            (body.get("image") not in _IMAGES, "You specified an invalid image"),
            (not keys.issuperset(body.get("ssh_keys") or []), "are invalid key identifiers"),
            (len(body.get("user_data") or "") > _USER_DATA_BYTES, "User data is too long"),
        ):
            if wrong:
                raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, message)
        tags = body.get("tags") or []
        self._stored["tags"] += [x for x in tags if x not in self._stored["tags"]]
        droplet = {
            "id": self._next_id(),
            "name": body["name"],
            "tags": tags,
            "size": size,
            "region": body["region"],
            "image": body["image"],
            "created": time.time(),
            "user_data": body.get("user_data"),
            "ssh_keys": body.get("ssh_keys") or [],
        }
        self._stored["droplets"].append(droplet)
        self._save()
        action = {"id": self._next_id(), "rel": "create"}
        return {"droplet": self._public(droplet), "links": {"actions": [action]}}

    def list(self, query: Mapping[str, str]) -> Body:
        """Return a page of the droplets with a tag, or with a name."""
        matches = [
            self._public(x)
            for x in self._stored["droplets"]
            if query.get("tag_name") in {None, *x["tags"]}
            and query.get("name") in {None, x["name"]}
            and query.get("name") in {None, x["name"]}
        ]
        return page("droplets", matches, query)

    def read(self, identifier: str) -> Body:
        """Return a droplet."""
        return {"droplet": self._public(self._find("droplets", "id", identifier))}

    def delete(self, identifier: str) -> None:
        """Destroy a droplet."""
        self._remove("droplets", "id", identifier)

    def create_key(self, body: Body) -> Body:
        """Add an SSH key."""
        text = str(body.get("public_key", ""))
        try:
            _, encoded = text.split()[:2]
            digest = hashlib.md5(base64.b64decode(encoded), usedforsecurity=False).hexdigest()
        except ValueError:
            message = "Key invalid, key should be of the format `type key [comment]`"
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, message) from None
        fingerprint = ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
        if fingerprint in [x["fingerprint"] for x in self._stored["ssh_keys"]]:
            message = "SSH Key is already in use on your account"
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, message)
        if not body.get("name"):
            raise ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "name is required")
        key = {"id": self._next_id(), "fingerprint": fingerprint}
        key |= {"public_key": text, "name": body["name"]}
        self._stored["ssh_keys"].append(key)
        self._save()
        return {"ssh_key": key}

    def keys(self, query: Mapping[str, str]) -> Body:
        """Return a page of the SSH keys."""
        return page("ssh_keys", self._stored["ssh_keys"], query)

    def delete_key(self, identifier: str) -> None:
        """Delete an SSH key."""
        self._remove("ssh_keys", "id", identifier)

    def tags(self, query: Mapping[str, str]) -> Body:
        """Return a page of the tags, which outlive what they were created with."""
        return page("tags", [self._tag(name) for name in self._stored["tags"]], query)

    def delete_tag(self, name: str) -> None:
        """Delete a tag, which leaves what has it."""
        if name not in self._stored["tags"]:
            raise NotFoundError
        self._stored["tags"].remove(name)
        for droplet in self._stored["droplets"]:
            droplet["tags"] = [tag for tag in droplet["tags"] if tag != name]
        self._save()

    def _tag(self, name: str) -> Body:
        count = sum(name in droplet["tags"] for droplet in self._stored["droplets"])
        return {"name": name, "resources": {"count": count, "droplets": {"count": count}}}

    def _public(self, droplet: Mapping[str, Any]) -> Body:
        """Return all fields that https://docs.digitalocean.com/reference/api/ requires."""
        size = droplet["size"]
        active = time.time() - droplet["created"] >= self.boot_seconds
        public = {"ip_address": self._address, "netmask": "255.255.255.0", "type": "public"}
        return {
            **{name: droplet[name] for name in ("id", "name", "tags", "size")},
            **{name: size[name] for name in ("memory", "vcpus", "disk")},
            **{key: [] for key in ("backup_ids", "snapshot_ids", "volume_ids", "features")},
            "size_slug": size["slug"],
            "locked": not active,
            "status": "active" if active else "new",
            "created_at": datetime.fromtimestamp(droplet["created"], UTC).strftime("%FT%TZ"),
            "next_backup_window": None,
            "image": {"slug": droplet["image"]},
            "region": {"slug": droplet["region"]},
            "networks": {"v4": [public] if active else [], "v6": []},
        }

    def _find(self, kind: str, field: str, value: str) -> dict[str, Any]:
        for item in self._stored[kind]:
            if str(item[field]) == value:
                found: dict[str, Any] = item
                return found
        raise NotFoundError

    def _remove(self, kind: str, field: str, value: str) -> None:
        self._stored[kind].remove(self._find(kind, field, value))
        self._save()

    def _next_id(self) -> int:
        self._stored["last_id"] += 1
        return int(self._stored["last_id"])

    def _save(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._stored))
        new.replace(self._path)
