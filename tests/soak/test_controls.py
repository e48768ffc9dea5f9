"""What breaks images, so that the other tests would notice it; and that the product does not."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import Any

import pytest

from scripts.maintenance.plan import Times
from scripts.maintenance.walk import Walk
from scripts.shared import objects as objects_module
from scripts.shared.listing import Entry, parse_page
from scripts.shared.s3 import Bucket
from tests.soak import collector
from tests.soak.client import Client, Image, RefusedError, image
from tests.soak.lies import LIES, of_repositories, of_version_1
from tests.soak.proxy import Proxy
from tests.soak.servers import BUCKET, HOSTS, REGION, Servers

TIMES = Times(keep=1.5, grace=1)

GONE_SECONDS = 30
"""By then all that was deleted is gone, copies included."""


def new_client(servers: Servers) -> Client:
    return Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)


def broken(client: Client, pushed: Image) -> list[str]:
    """Pull an image from each pod, and return what is wrong."""
    wrong = []
    for address in client.addresses:
        try:
            client.pull(pushed, address)
        except RefusedError as error:
            wrong.append(str(error))
    client.close()
    return wrong


def maintain(servers: Servers, seconds: float, endpoint: str = "") -> list[dict[str, Any]]:
    """Do some runs, and return their reports."""
    reports: list[dict[str, Any]] = []
    until = time.monotonic() + seconds
    bucket = Bucket(endpoint or servers.endpoint, REGION, BUCKET, True, servers.key)
    while time.monotonic() < until or not reports:
        with collector.PagedObjects(bucket) as objects:
            reports.append(collector.run(objects, servers.pods(), TIMES))
        time.sleep(0.5)
    return reports


def test_the_registrys_own_collection_breaks_an_image_that_is_pushed_meanwhile(
    servers: Servers,
) -> None:
    """tests/soak/test_races.py is the same for the maintenance."""
    client = new_client(servers)
    pushed = image("team/app", "v1", b"{}", [b"layer"])
    client.push(pushed)
    client.call("DELETE", pushed.path_of_digest, (202,))
    deleting, pushed_again = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> int:
        if method == "DELETE" or "delete" in path.partition("?")[2]:
            deleting.set()
            assert pushed_again.wait(60)
        return 0

    with Proxy(servers.s3_port) as proxy:
        proxy.hook = hold
        config = servers.config(HOSTS[0], proxy.endpoint)
        command = [str(servers.tools / "registry"), "garbage-collect", "--delete-untagged"]
        with subprocess.Popen(
            [*command, str(config)], env=servers.environment(), stdout=subprocess.DEVNULL
        ) as process:
            assert deleting.wait(60)
            client.push(pushed)
            pushed_again.set()
            assert process.wait() == 0
    assert broken(client, pushed)


def pushed_images(client: Client) -> list[Image]:
    pushed = [image(f"r{n}", "v1", b'{"n": %d}' % n, [b"layer %d" % n]) for n in range(20)]
    for each in pushed:
        client.push(each)
    return pushed


def test_false_lists_end_each_run_and_break_nothing(servers: Servers) -> None:
    client = new_client(servers)
    pushed = pushed_images(client)
    assert not maintain(servers, 0)[0]["problems"]
    with Proxy(servers.s3_port) as proxy:
        for name, lie in LIES.items():
            proxy.lie = lie
            for report in maintain(servers, 1, proxy.endpoint):
                assert report["problems"], name
    assert not maintain(servers, 0)[0]["problems"]
    assert not [wrong for each in pushed for wrong in broken(client, each)]


def believe(body: bytes, bucket: str, prefix: str, after: str) -> tuple[list[Entry], str]:
    if b"<NextContinuationToken>" not in body:
        body = body.replace(b"<IsTruncated>true<", b"<IsTruncated>false<")
    return parse_page(body, bucket, prefix, after)


def test_who_believes_false_lists_breaks_images(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_client(servers)
    pushed = pushed_images(client)
    monkeypatch.setattr(objects_module, "parse_page", believe)
    monkeypatch.setattr(Walk, "find", lambda walk, key: walk._objects.head(key))
    assert not maintain(servers, 0)[0]["problems"]
    deadline = time.monotonic() + GONE_SECONDS
    with Proxy(servers.s3_port) as proxy:
        proxy.lie = of_repositories(of_version_1)
        while not any(broken(client, each) for each in pushed):
            assert time.monotonic() < deadline, "all images are whole"
            maintain(servers, 1, proxy.endpoint)
