"""Clocks that are wrong while the bucket is maintained: the node's, or all."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.maintenance.clock import DAY
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention, Rule
from scripts.shared.objects import Objects
from scripts.shared.s3 import Bucket
from tests.soak import collector
from tests.soak.client import Client, Image, image
from tests.soak.proxy import Proxy
from tests.soak.servers import BUCKET, HOSTS, REGION, Servers

HOUR = 3600

RUNS = 5
"""How many runs believe a wrong clock, if they believe it. The first one that sees a tag only notes
that."""

DELETIONS = {"deleted", "unlinked", "expired"}

WEEK = Retention(rules=[Rule("week", ["*"], last=0, days=7, matching=[])], untagged_days=7)


@pytest.fixture
def pushed(servers: Servers) -> list[Image]:
    """Return images, one of which was deleted, so that its layers could go."""
    client = Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)
    images = [image(f"r{n}", "v1", b'{"n": %d}' % n, [b"layer %d" % n]) for n in range(6)]
    for each in images:
        client.push(each)
    client.call("DELETE", images[0].path_of_digest, (202,))
    client.close()
    return images[1:]


@pytest.fixture(autouse=True)
def rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "RETENTION", WEEK)


def maintain(servers: Servers, proxy: Proxy, runs: int) -> list[dict[str, Any]]:
    # Days: what a clock says is what counts.
    times = Times(keep=7 * DAY, grace=HOUR)
    reports = []
    bucket = Bucket(proxy.endpoint, REGION, BUCKET, True, servers.key)
    for _ in range(runs):
        with Objects(bucket) as objects:
            reports.append(collector.run(objects, servers.pods(), times))
    return reports


def whole(servers: Servers, images: list[Image]) -> None:
    client = Client([f"{host}:{servers.registry_port}" for host in HOSTS], 1)
    for each in images:
        for address in client.addresses:
            client.pull(each, address)
    client.close()


def did(reports: list[dict[str, Any]]) -> list[str]:
    """Return what was deleted."""
    lines = [line for x in reports for line in x["report"] if line.split(": ")[0] in DELETIONS]
    return [line for line in lines if not line.endswith(": 0 blobs, 0 bytes")]


def set_node(monkeypatch: pytest.MonkeyPatch, ahead: float) -> None:
    """Let the pod's clock be ahead: what signs requests, and what is compared with the storage."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz or UTC) + timedelta(seconds=ahead)

    monkeypatch.setattr("scripts.shared.s3.datetime", Ahead)
    shifted = SimpleNamespace(time=lambda: time.time() + ahead, sleep=time.sleep)
    monkeypatch.setattr("scripts.maintenance.maintain.time", shifted)


@pytest.mark.parametrize("ahead", [HOUR, 10 * DAY])
def test_a_node_whose_clock_is_ahead_deletes_nothing(
    servers: Servers, pushed: list[Image], monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    with Proxy(servers.s3_port) as proxy:
        assert not maintain(servers, proxy, 1)[0]["problems"]
        with monkeypatch.context() as patch:
            set_node(patch, ahead)
            reports = maintain(servers, proxy, RUNS)
        whole(servers, pushed)
        assert all("403" in problem for x in reports for problem in x["problems"])
        assert all(x["problems"] for x in reports), "S3 takes no request that is so late"
        assert not did(reports)
        assert not maintain(servers, proxy, 1)[0]["problems"]


@pytest.mark.parametrize("ahead", [HOUR, 10 * DAY])
def test_a_clock_that_is_ahead_on_the_storages_host_too_deletes_nothing(
    servers: Servers, pushed: list[Image], monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """MinIO on the node after a power cut. 12 of 12 tags expired where the clock was believed."""
    with Proxy(servers.s3_port) as proxy:
        assert not maintain(servers, proxy, 2)[0]["problems"]
        shifted = SimpleNamespace(time=lambda: time.time() + ahead, sleep=time.sleep)
        with monkeypatch.context() as patch:
            patch.setattr("scripts.maintenance.maintain.time", shifted)
            proxy.ahead = ahead
            reports = maintain(servers, proxy, RUNS)
            proxy.ahead = 0
        whole(servers, pushed)
        assert not did(reports)
        first, second = maintain(servers, proxy, 2)
        assert any("behind" in problem for problem in first["problems"])
        assert not second["problems"]
        assert not did([first, second])
        whole(servers, pushed)
