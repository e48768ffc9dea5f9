"""The account, as DigitalOcean's API shows it, with its faults."""

from __future__ import annotations

import pytest

from live.cloud import Cloud, CloudError
from live.names import Run
from sandbox.cloud.api import Server
from sandbox.cloud.droplets import Droplets
from settings.credentials import CloudAccess
from tests.unit.sandbox.conftest import TOKEN

RUN = Run("k3s-registry-live-0123456789")
KEY = "ssh-ed25519 AAAA0001 me"


@pytest.fixture
def cloud(api: Server) -> Cloud:
    endpoint = "http://{}:{}/".format(*api.server_address)
    configured = {"api_endpoint": endpoint, "spaces_endpoint": ""}
    return Cloud(CloudAccess(digitalocean=configured, kubernetes={}, token=TOKEN))


def test_a_creation_is_asked_again_only_if_it_was_certainly_not_done(
    api: Server, cloud: Cloud
) -> None:
    """After a 429 it was not; after a 500 it may have been."""
    api.control({"faults": [{"status": 429, "retry_after": 0}]})
    cloud.create_ssh_key(RUN, KEY)
    assert len(cloud.ssh_keys()) == 1
    api.control({"faults": [{"status": 500}, {"status": 503}]})
    with pytest.raises(CloudError, match="POST v2/account/keys: 500 injected"):
        cloud.create_ssh_key(RUN, KEY)
    assert api.control({})["faults"] == [{"status": 503}], "one request was sent"


def test_what_only_reads_or_deletes_is_asked_again(api: Server, cloud: Cloud) -> None:
    key = cloud.create_ssh_key(RUN, KEY)
    api.control({"faults": [{"status": 503, "retry_after": 0}]})
    assert cloud.ssh_keys() == [key]
    api.control({"faults": [{"status": 500, "retry_after": 0}]})
    cloud.delete(f"v2/account/keys/{key['id']}")
    assert cloud.ssh_keys() == []


def test_what_is_gone_already_is_deleted(cloud: Cloud) -> None:
    cloud.delete("v2/account/keys/7")
    cloud.delete("v2/tags/none")
    cloud.delete("v2/droplets/7")


def test_what_cannot_be_deleted_is_an_error(api: Server, cloud: Cloud) -> None:
    api.control({"faults": [{"status": 422}]})
    with pytest.raises(CloudError, match="DELETE v2/droplets/7: 422 injected"):
        cloud.delete("v2/droplets/7")


def test_all_pages_of_a_list_are_read(cloud: Cloud, droplets: Droplets) -> None:
    arguments = {"region": "nyc3", "size": "s-1vcpu-2gb", "image": "debian-12-x64"}
    for number in range(401):
        droplets.create({"name": f"droplet-{number}", **arguments})
    assert len({x["id"] for x in cloud.droplets()}) == 401


def test_no_error_has_the_token(api: Server) -> None:
    for token in ("dop_v1_another", "dop_v1_with\nanother line"):
        endpoint = "http://{}:{}/".format(*api.server_address)
        access = CloudAccess(digitalocean={"api_endpoint": endpoint}, kubernetes={}, token=token)
        with pytest.raises(CloudError) as error:
            Cloud(access).sizes()
        assert "dop_v1" not in str(error.value)
