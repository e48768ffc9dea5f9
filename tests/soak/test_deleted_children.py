"""Clients delete images of indexes, and push the same again, on two pods."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.soak.client import Client, Image, RefusedError, image, index
from tests.soak.servers import HOSTS, Servers

IMAGES = 100
RESTART_EVERY = 10


@dataclass
class Deletes:
    """Pushes of indexes, deletes of all of them, and pushes of the same.

    Attributes:
        servers: The servers.
        refused: What could not be pushed again.
        broken: What was pushed again and acknowledged, and cannot be pulled from some pod.
    """

    servers: Servers
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.addresses = [f"{host}:{self.servers.registry_port}" for host in HOSTS]
        self.client = Client(self.addresses, 1)

    def run(self, *, until_broken: bool = False) -> None:
        """Push, pull, delete and push again, each request to any pod; now and then a pod rolls."""
        for number in range(IMAGES):
            if until_broken and self.broken:
                break
            pushed = build(number)
            base = f"/v2/{pushed.repository}/manifests"
            self.client.push(pushed)
            self.client.pull(pushed)
            for deleted in (pushed, pushed.children[number % 2]):
                self.client.call("DELETE", f"{base}/{deleted.digest}", (202,))
            if number % RESTART_EVERY == 0:
                host = HOSTS[number // RESTART_EVERY % 2]
                self.client.close()
                self.servers.stop(host)
                self.servers.start_registry(host)
            try:
                self.client.push(pushed)
            except RefusedError as error:
                self.refused.append(str(error))
                continue
            try:
                for address in self.addresses:
                    self.client.pull(pushed, address)
            except RefusedError as error:
                self.broken.append(str(error))
        self.client.close()


def build(number: int) -> Image:
    """Return an index of two images, unlike all others."""
    name = f"team/app{number % 7}"
    children = [
        image(name, "", json.dumps([number, child]).encode(), [b"layer %d %d" % (number, child)])
        for child in range(2)
    ]
    return index(name, f"v{number}", children)


@pytest.fixture
def one_process(tools: Path, tmp_path: Path) -> Iterator[Servers]:
    """Pods with one registry each, which remembers and takes all requests."""
    started = Servers(tools, tmp_path, one_process=True)
    try:
        started.start()
        yield started
    finally:
        started.stop_all()


def test_an_index_whose_children_were_deleted_is_whole_when_it_is_pushed_again(
    servers: Servers,
) -> None:
    deletes = Deletes(servers)
    deletes.run()
    assert not deletes.refused
    assert not deletes.broken


def test_where_one_process_remembers_and_takes_all_the_same_index_is_broken(
    one_process: Servers,
) -> None:
    """Or the test above would show nothing."""
    deletes = Deletes(one_process)
    deletes.run(until_broken=True)
    assert deletes.broken
