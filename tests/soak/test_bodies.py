"""Bodies that do not come, that are broken, and that are too many at a time."""

from __future__ import annotations

import http.client
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from components.monitoring.alerts import WITHOUT_PLACE
from components.registry import places
from tests.soak.pair import PLACES, AuthProxy, Rights, login
from tests.soak.servers import HOSTS, Servers

RIGHTS: Rights = {"admin": (["*"], ["*"]), "ci": (["team-a/*"], []), "pull": ([], ["*"])}


@pytest.fixture
def proxy(
    tools: Path, tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AuthProxy]:
    monkeypatch.setattr(places, "WAIT_SECONDS", 3)
    started = AuthProxy(tools, tmp_path, f"{HOSTS[0]}:{servers.inner_ports['registry']}")
    started.configure(RIGHTS)
    started.start()
    yield started
    started.stop()


def start(proxy: AuthProxy, user: str, repository: str) -> str:
    """Return the location of a new upload."""
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)) as connection:
        headers = {"Authorization": login(user)}
        connection.request("POST", f"/v2/{repository}/blobs/uploads/", headers=headers)
        response = connection.getresponse()
        assert response.status == 202
        return str(response.getheader("Location"))


def begin(proxy: AuthProxy, user: str, method: str, target: str, more: str) -> socket.socket:
    """Send the head of a request and one byte of its body."""
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=60)
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", more]
    if user:
        lines.append(f"Authorization: {login(user)}")
    connection.sendall("\r\n".join([*lines, "", "x"]).encode())
    return connection


def response(connection: socket.socket) -> tuple[int, str]:
    """Return the status and the head of the response."""
    head = b""
    while b"\r\n\r\n" not in head and (part := connection.recv(4096)):
        head += part
    return int(head.split(b" ", 2)[1]), head.decode()


def upload(proxy: AuthProxy, user: str, repository: str) -> socket.socket:
    """Begin an upload of 100 bytes, of which one is sent."""
    return begin(proxy, user, "PATCH", start(proxy, user, repository), "Content-Length: 100")


@pytest.mark.parametrize(
    ("user", "method", "target", "status"),
    [
        ("", "PUT", "/v2/a/manifests/1", 401),
        ("nobody", "PUT", "/v2/a/manifests/1", 401),
        ("pull", "PUT", "/v2/a/manifests/1", 403),
        ("admin", "PUT", "/v2/", 405),
        ("admin", "PUT", "/v3/", 404),
        ("admin", "GET", "/v2/a/tags/list", 413),
    ],
)
def test_a_refusal_does_not_wait_for_the_body(
    proxy: AuthProxy, user: str, method: str, target: str, status: int
) -> None:
    """2,400 connections of strangers, each with a body that never came, ended the pod."""
    with begin(proxy, user, method, target, "Content-Length: 200000") as connection:
        refused, head = response(connection)
    assert refused == status
    assert "Connection: close" in head, "or it would read the body before it responds"


def test_a_broken_body_is_no_failure_of_the_registry(proxy: AuthProxy) -> None:
    target = start(proxy, "ci", "team-a/x")
    with begin(proxy, "ci", "PATCH", target, "Transfer-Encoding: chunked") as connection:
        connection.sendall(b"yz\r\n")
        assert response(connection)[0] == 400
    with upload(proxy, "ci", "team-a/x") as connection:
        connection.shutdown(socket.SHUT_WR)
        # 499 where Go tells Caddy first that the client is gone.
        assert response(connection)[0] in {400, 499}


def test_nobody_keeps_others_from_pushing_and_what_waits_ends(proxy: AuthProxy) -> None:
    with ExitStack() as stack:
        many = [stack.enter_context(upload(proxy, "ci", "team-a/x")) for _ in range(PLACES)]
        with upload(proxy, "admin", "other") as connection:
            connection.sendall(b"x" * 99)
            assert response(connection)[0] == 202
        # Of 16 places 4 are each user's own, and 8 everybody's.
        ended = [response(connection) for connection in many[12:]]
    assert [status for status, _ in ended] == [503] * 4
    assert all("Retry-After: " in head for _, head in ended)
    assert count(proxy, WITHOUT_PLACE) == 4, "or no alert tells of them"


def count(proxy: AuthProxy, series: str) -> float:
    """Return the sum of the metrics that an alert names."""
    name, _, selector = series.rstrip("}").partition("{")
    wanted = dict(re.findall(r'(\w+)=~?"([^"]*)"', selector))
    total = 0.0
    for line in proxy.metrics().splitlines():
        if line.startswith(f"{name}{{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if all(re.fullmatch(x, labels.get(label, "")) for label, x in wanted.items()):
                total += float(line.rpartition(" ")[2])
    return total


def test_a_body_that_does_not_come_loses_its_place(
    proxy: AuthProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "BODY_SECONDS", 1)
    proxy.configure({**RIGHTS, "new": ([], ["*"])})
    wait_until_known(proxy, "new")
    with upload(proxy, "ci", "team-a/x") as connection:
        # As above.
        assert response(connection)[0] in {408, 499}


def wait_until_known(proxy: AuthProxy, user: str) -> None:
    deadline = time.monotonic() + 60
    while not proxy.knows(user):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_waits_goes_on_waiting_when_users_change(
    proxy: AuthProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "WAIT_SECONDS", 60)
    proxy.configure({**RIGHTS, "patient": ([], ["*"])})
    wait_until_known(proxy, "patient")
    with ExitStack() as stack:
        many = [stack.enter_context(upload(proxy, "ci", "team-a/x")) for _ in range(12)]
        waiting = stack.enter_context(upload(proxy, "ci", "team-a/x"))
        for user in ("first", "second"):
            proxy.configure({**RIGHTS, user: ([], ["*"])})
            wait_until_known(proxy, user)
        many[0].sendall(b"x" * 99)
        assert response(many[0])[0] == 202
        waiting.sendall(b"x" * 99)
        assert response(waiting)[0] == 202


def test_places_survive_a_change_of_users(proxy: AuthProxy) -> None:
    """Each change of users let as many more uploads begin, which ended the registry."""
    with ExitStack() as stack:
        many = [stack.enter_context(upload(proxy, "ci", "team-a/x")) for _ in range(12)]
        proxy.configure({**RIGHTS, "new": ([], ["*"])})
        wait_until_known(proxy, "new")
        with upload(proxy, "ci", "team-a/x") as connection:
            assert response(connection)[0] == 503
        many[0].sendall(b"x" * 99)
        assert response(many[0])[0] == 202
        with upload(proxy, "ci", "team-a/x") as connection:
            connection.sendall(b"x" * 99)
            assert response(connection)[0] == 202
