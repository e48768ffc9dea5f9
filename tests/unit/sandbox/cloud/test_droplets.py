"""Droplets, SSH keys, tags and sizes of the stand-in for DigitalOcean's API.

What the API requires is from the vendor's client, generated from its OpenAPI document:
https://github.com/digitalocean/pydo/blob/v0.44.0/src/pydo/operations/_operations.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud.api import Server
from sandbox.cloud.droplets import Droplets
from tests.unit.sandbox.cloud.test_api import send

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"
DROPLET = {
    "name": "one",
    "region": "nyc3",
    "size": "s-2vcpu-4gb",
    "image": "debian-12-x64",
    "tags": ["mine"],
    "user_data": "#cloud-config\n",
}
REQUIRED = {
    *("id", "name", "memory", "vcpus", "disk", "locked", "status", "created_at", "features"),
    *("backup_ids", "next_backup_window", "snapshot_ids", "image", "volume_ids", "size"),
    *("size_slug", "networks", "region", "tags"),
}
SIZE = {
    *("slug", "memory", "vcpus", "disk", "transfer", "price_monthly", "price_hourly"),
    *("regions", "available", "description"),
}


def create(api: Server, **changes: Any) -> dict[str, Any]:
    response = send(api, "POST", "/v2/droplets", DROPLET | changes)
    assert response.status == 202, response.body
    droplet: dict[str, Any] = response.body["droplet"]
    return droplet


def names(api: Server, query: str = "") -> list[str]:
    return [x["name"] for x in send(api, "GET", f"/v2/droplets{query}").body["droplets"]]


def test_a_droplet_has_all_fields_that_the_api_requires(api: Server) -> None:
    created = create(api)
    assert created.keys() == REQUIRED
    assert created["size"].keys() == SIZE
    assert send(api, "GET", f"/v2/droplets/{created['id']}").body["droplet"] == created


def test_a_droplet_has_an_address_once_it_is_active(api: Server, droplets: Droplets) -> None:
    assert create(api)["status"] == "new"
    assert create(api)["networks"]["v4"] == [], "no address is known yet"
    droplets.boot_seconds = 0
    (droplet, _) = send(api, "GET", "/v2/droplets").body["droplets"]
    assert droplet["status"] == "active"
    (address,) = [x for x in droplet["networks"]["v4"] if x["type"] == "public"]
    assert address["ip_address"] == "203.0.113.4"


def test_how_long_a_droplet_starts_is_for_a_test_to_say(api: Server) -> None:
    assert send(api, "POST", "/_control", {"boot": 0}).body["boot"] == 0
    assert create(api)["status"] == "active"


def test_lists_show_the_droplets_with_a_tag_or_with_a_name(api: Server) -> None:
    create(api, name="one", tags=["mine"])
    create(api, name="two", tags=[])
    assert names(api) == ["one", "two"]
    assert names(api, "?tag_name=mine") == ["one"]
    assert names(api, "?name=two") == ["two"]
    assert names(api, "?tag_name=other") == []
    assert names(api, "?per_page=1&page=2") == ["two"]


def test_a_deleted_droplet_is_gone_and_its_tag_stays(api: Server) -> None:
    path = f"/v2/droplets/{create(api)['id']}"
    assert send(api, "DELETE", path).status == 204
    assert send(api, "GET", path).status == send(api, "DELETE", path).status == 404
    (tag,) = send(api, "GET", "/v2/tags").body["tags"]
    assert (tag["name"], tag["resources"]["count"]) == ("mine", 0)


def test_a_deleted_tag_is_taken_from_droplets_which_stay(api: Server) -> None:
    create(api)
    assert send(api, "DELETE", "/v2/tags/mine").status == 204
    assert send(api, "DELETE", "/v2/tags/mine").status == 404
    assert names(api) == ["one"]
    assert names(api, "?tag_name=mine") == []


def test_a_key_has_the_fingerprint_that_ssh_keygen_shows(api: Server) -> None:
    """By ``ssh-keygen -l -E md5 -f``."""
    response = send(api, "POST", "/v2/account/keys", {"name": "me", "public_key": KEY})
    assert response.status == 201
    key = response.body["ssh_key"]
    assert key.keys() == {"id", "fingerprint", "public_key", "name"}
    assert key["fingerprint"] == "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd"
    assert create(api, ssh_keys=[key["id"]])
    assert create(api, ssh_keys=[key["fingerprint"]])
    assert send(api, "GET", "/v2/account/keys").body["ssh_keys"] == [key]
    assert send(api, "DELETE", f"/v2/account/keys/{key['id']}").status == 204
    assert send(api, "GET", "/v2/account/keys").body["ssh_keys"] == []


def test_no_two_keys_are_the_same_and_none_is_nonsense(api: Server) -> None:
    send(api, "POST", "/v2/account/keys", {"name": "me", "public_key": KEY})
    for body in ({"name": "again", "public_key": KEY}, {"name": "x", "public_key": "nonsense"}):
        assert send(api, "POST", "/v2/account/keys", body).status == 422


def test_sizes_have_prices_and_regions(api: Server) -> None:
    sizes = send(api, "GET", "/v2/sizes").body["sizes"]
    assert {x["slug"] for x in sizes} == {"s-1vcpu-2gb", "s-2vcpu-4gb"}
    assert all(x.keys() == SIZE and x["price_hourly"] > 0 for x in sizes)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("size", "s-none"),
        ("region", "moon"),
        ("image", "windows"),
        ("ssh_keys", [7]),
        ("user_data", "x" * (64 * 1024 + 1)),
    ],
)
def test_a_droplet_of_nothing_that_exists_is_refused(
    api: Server, field: str, value: object
) -> None:
    assert send(api, "POST", "/v2/droplets", DROPLET | {field: value}).status == 422
    assert names(api) == []


def test_droplets_keys_and_tags_outlive_a_restart(droplets: Droplets, tmp_path: Path) -> None:
    droplets.create(DROPLET)
    key = droplets.create_key({"name": "me", "public_key": KEY})["ssh_key"]
    again = Droplets(tmp_path / "droplets.json", "203.0.113.4")
    assert again.list({})["droplets"] == droplets.list({})["droplets"]
    assert again.keys({})["ssh_keys"] == [key]
    assert again.tags({})["meta"] == {"total": 1}
    assert again.create(DROPLET)["droplet"]["id"] > key["id"]
