"""Receivers of events that never answer, or are gone."""

from __future__ import annotations

import re
import socket
import statistics
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from components.monitoring.alerts import WAITING_EVENTS
from components.network import METRICS_PATH
from settings.schema import WebhookSettings
from tests.soak.client import Client, image
from tests.soak.conftest import LONG
from tests.soak.servers import HOSTS, Servers, free_port, most_memory

EVENTS, FEW = 10_000, 500
"""How many events wait in `make soak`, and in `make test`."""


def pushes(servers: Servers, count: int) -> list[float]:
    """Give an image so many tags; return the seconds that each took."""
    client = Client([f"{HOSTS[0]}:{servers.registry_port}"], 1)
    pushed = image("team/app", "v", b"{}", [b"layer"])
    client.push(pushed)
    seconds = []
    for number in range(count):
        start = time.monotonic()
        client.name(replace(pushed, tag=f"v{number % 100}"))
        seconds.append(time.monotonic() - start)
    client.close()
    return seconds


def pending(servers: Servers) -> int:
    """Return how many events wait, as Prometheus gets it."""
    url = f"http://{HOSTS[0]}:{servers.debug_ports['registry']}{METRICS_PATH}"
    with urllib.request.urlopen(url, timeout=60) as response:
        text = response.read().decode()
    name = WAITING_EVENTS.replace("SELECTOR", 'endpoint="ci"')
    found = re.search(rf"^{re.escape(name)} (\S+)", text, re.M)
    assert found, "an alert names it"
    return int(float(found[1]))


@pytest.mark.parametrize("receiver", ["silent", "gone"])
def test_a_receiver_that_takes_no_event_stops_no_push_and_takes_little_memory(
    tools: Path, tmp_path: Path, receiver: str, operations: int
) -> None:
    count = EVENTS if operations >= LONG else FEW
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1] if receiver == "silent" else free_port(HOSTS[:1])
        webhook = WebhookSettings.model_validate({"url": "https://ci.example.com/"})
        url = f"http://127.0.0.1:{port}/"
        servers = Servers(tools, tmp_path, webhooks={"ci": webhook.model_copy(update={"url": url})})
        control = Servers(tools, tmp_path / "control")
        try:
            control.start()
            without = pushes(control, count)
            idle = most_memory(control.running[f"{HOSTS[0]} registry"].pid)
            control.stop_all()
            servers.start()
            seconds = pushes(servers, count)
            memory = most_memory(servers.running[f"{HOSTS[0]} registry"].pid)
            waiting = pending(servers)
        finally:
            control.stop_all()
            servers.stop_all()
    print(
        f"{receiver}: {waiting} events wait, {(memory - idle) / waiting / 1000:.1f} kB each; a tag "
        f"takes {statistics.median(seconds) * 1000:.1f} ms (up to {max(seconds) * 1000:.0f}), "
        f"without a webhook {statistics.median(without) * 1000:.1f} (up to "
        f"{max(without) * 1000:.0f})"
    )
    assert waiting >= count, "none is lost"
    assert memory - idle < 20_000 * count
