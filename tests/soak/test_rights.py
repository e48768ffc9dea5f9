"""What the auth proxy decides, and what the registry gets and does, are what the documents say."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.soak.client import digest_of
from tests.soak.pair import AuthProxy, Between, Received, serve
from tests.soak.rights import REPOSITORIES, RIGHTS, Expected, Request, expected, may_pull, requests
from tests.soak.servers import HOSTS, Servers

ALWAYS = {"host", "user-agent", "x-forwarded-for", "content-length", "transfer-encoding"}
LAYERS = {repository: f"<{repository}>".encode() for repository in REPOSITORIES}
DIGESTS = {repository: digest_of(content) for repository, content in LAYERS.items()}


@pytest.fixture
def between(servers: Servers) -> Iterator[Between]:
    with Between((HOSTS[0], servers.inner_ports["registry"])) as listener:
        serve(listener)
        yield listener
        listener.shutdown()


@pytest.fixture
def proxy(tools: Path, tmp_path: Path, between: Between) -> Iterator[AuthProxy]:
    started = AuthProxy(tools, tmp_path, between.address)
    started.configure(RIGHTS)
    started.start()
    yield started
    started.stop()


def ask(registry: tuple[str, int], method: str, target: str, body: bytes = b"") -> tuple[int, str]:
    """Return the status and the location of the registry's response, past the auth proxy."""
    connection = http.client.HTTPConnection(*registry, timeout=60)
    connection.request(method, target, body)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status, response.getheader("Location", "")


def send(port: int, request: Request, agent: str) -> bytes:
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(request.encoded(agent))
            while part := connection.recv(65536):
                received += part
        except ConnectionError:
            # It has not read all of the body.
            assert received, "no response"
    return received


def difference(request: Request, right: Expected, status: int, got: list[Received]) -> str:
    """Return how the auth proxy's decision is not the expected one; empty if it is."""
    if right.status:
        return "" if (status, got) == (right.status, []) else f"not {right.status}"
    if len(got) != 1:
        return "the registry did not get it once"
    (received,) = got
    path, _, query = received.target.partition("?")
    given = {name: value for name, (value,) in parse_qs(query).items()}
    headers = {k: v for k, v in received.headers.items() if v and k not in ALWAYS}
    for name, value, wanted in (
        ("method", received.method, request.method),
        ("path", path, urlsplit(request.target).path),
        ("query", given, right.query),
        ("headers", headers, right.headers),
        ("body", received.body, request.body),
    ):
        if value != wanted:
            return f"{name} {value!r}, not {wanted!r}"
    return ""


def test_the_registry_gets_what_was_decided_on_and_nothing_else(
    between: Between, proxy: AuthProxy, operations: int
) -> None:
    """A denied list in front of a parser that normalizes more than it let users mount any blob."""
    registry = between.registry
    for repository, layer in LAYERS.items():
        _, location = ask(registry, "POST", f"/v2/{repository}/blobs/uploads/")
        target = f"{location}&digest={DIGESTS[repository]}"
        assert ask(registry, "PUT", target, layer)[0] == 201
    linked = set(DIGESTS.items())
    readers = {layer: {repository} for repository, layer in LAYERS.items()}

    def check(numbered: tuple[int, Request]) -> str:
        number, request = numbered
        right = expected(request)
        source = right.query.get("from")
        if source and right.query.get("mount") == DIGESTS.get(source):
            repository = request.target.removeprefix("/v2/").split("/blobs/uploads/")[0]
            linked.add((repository, DIGESTS[source]))
            readers[LAYERS[source]].add(repository)
        response = send(proxy.port, request, f"soak-{number}")
        status = int(response.split(b" ", 2)[1])
        got = between.seen.get(f"soak-{number}", [])
        for layer, repositories in readers.items():
            if layer in response and not any(may_pull(request.user, x) for x in repositories):
                return f"{request}: {request.user!r} has read a layer of {repositories}"
        problem = difference(request, right, status, got)
        return f"{request}: {status}, {problem}" if problem else ""

    numbered = enumerate(islice(requests(1, DIGESTS), 10 * operations))
    with ThreadPoolExecutor(8) as pool:
        problems = [problem for problem in pool.map(check, numbered) if problem]
    assert not problems, f"{len(problems)}, the first: {problems[0]}"
    for repository in REPOSITORIES:
        for digest in DIGESTS.values():
            status, _ = ask(registry, "HEAD", f"/v2/{repository}/blobs/{digest}")
            assert (status == 200) == ((repository, digest) in linked), (repository, digest)
