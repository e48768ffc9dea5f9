"""Pushes whose storage fails, hangs, is full or lies, from any of its requests on."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.soak.client import Client, Image, RefusedError, image
from tests.soak.conftest import LONG
from tests.soak.lies import LIES
from tests.soak.proxy import Proxy
from tests.soak.servers import HOSTS, Servers

WRITES = {"PUT", "POST", "DELETE"}

REQUESTS = 75
"""More than a push of two blobs and a manifest sends to the storage."""

SAMPLE = 25
"""In a short history, every so many of them are tried."""

PATIENCE_SECONDS = 2
"""How long the client waits for a response; longer than any takes from storage that works."""


def nothing(_: str, __: str) -> int:
    return 0


@contextmanager
def fails(proxy: Proxy, request: int) -> Iterator[None]:
    """500 to everything; what is sent again is, too."""
    with _from(proxy, request, lambda _: 500):
        yield


@contextmanager
def fails_once(proxy: Proxy, request: int) -> Iterator[None]:
    statuses = iter([500])
    with _from(proxy, request, lambda _: next(statuses, 0)):
        yield


@contextmanager
def refuses(proxy: Proxy, request: int) -> Iterator[None]:
    """As S3 does if the clock of who signs is more than 15 minutes off, or the key is revoked."""
    with _from(proxy, request, lambda _: 403):
        yield


@contextmanager
def is_full(proxy: Proxy, request: int) -> Iterator[None]:
    with _from(proxy, request, lambda method: 507 if method in WRITES else 0):
        yield


@contextmanager
def hangs(proxy: Proxy, request: int) -> Iterator[None]:
    """What was sent is carried out later, when the client is gone."""
    healed = threading.Event()

    def hold(_: str) -> int:
        assert healed.wait(60)
        return 0

    try:
        with _from(proxy, request, hold):
            yield
    finally:
        healed.set()


@contextmanager
def lies(proxy: Proxy, request: int) -> Iterator[None]:
    """One kind of cut list after the other."""
    proxy.lie = list(LIES.values())[request % len(LIES)]
    yield
    proxy.lie = lambda page: page


@contextmanager
def _from(proxy: Proxy, request: int, act: Callable[[str], int]) -> Iterator[None]:
    count = 0

    def hook(method: str, _: str) -> int:
        nonlocal count
        count += 1
        return act(method) if count > request else 0

    proxy.hook = hook
    yield
    proxy.hook = nothing


def build(number: int, fault: str) -> Image:
    config = b'{"fault": "%s", "number": %d}' % (fault.encode(), number)
    return image("team/app", f"{fault}-{number}", config, [b"layer of " + config])


def tried(client: Client, pushed: Image) -> str:
    """Push, and return what the client is told."""
    try:
        client.push(pushed)
    except RefusedError:
        return "refused"
    except OSError:
        return "no response"
    finally:
        client.close()
    return "acknowledged"


def pull(address: str, images: list[Image]) -> None:
    """Pull from a pod whose storage has had no fault."""
    client = Client([address], 1)
    for each in images:
        client.pull(each)
    client.close()


@pytest.mark.parametrize("fault", [fails, fails_once, refuses, is_full, hangs, lies])
def test_a_push_whose_storage_has_a_fault_at_any_request_is_whole_or_not_acknowledged(
    servers: Servers,
    fault: Callable[[Proxy, int], AbstractContextManager[None]],
    operations: int,
) -> None:
    addresses = [f"{host}:{servers.registry_port}" for host in HOSTS]
    name, counts = fault.__name__, Counter[str]()
    pushed: list[Image] = []
    with Proxy(servers.s3_port) as proxy:
        servers.stop(HOSTS[0])
        servers.start_registry(HOSTS[0], proxy.endpoint)
        for request in range(0, REQUESTS, 1 if operations >= LONG else SAMPLE):
            pushed.append(build(request, name))
            with fault(proxy, request):
                told = tried(Client(addresses[:1], 1, PATIENCE_SECONDS), pushed[-1])
            counts[told] += 1
            if told == "acknowledged":
                pull(addresses[1], pushed[-1:])
            counts[f"again: {tried(Client(addresses[:1], 1), pushed[-1])}"] += 1
    print(f"{name}: {dict(counts)}")
    assert counts["again: acknowledged"] == len(pushed)
    pull(addresses[1], pushed)
