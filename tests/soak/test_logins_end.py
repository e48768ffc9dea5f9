"""A login that ends does so at its second, in a Caddy that has run all the time."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.soak.pair import AuthProxy
from tests.soak.servers import HOSTS, Servers

RIGHTS: dict[str, tuple[list[str], list[str]]] = {
    "admin": (["*"], ["*"]),
    "ci": (["team-a/*"], []),
    "forever": (["team-a/*"], []),
}
REASON = "the login has ended"


@pytest.fixture
def proxy(tools: Path, tmp_path: Path, servers: Servers) -> Iterator[AuthProxy]:
    proxy = AuthProxy(tools, tmp_path, f"{HOSTS[0]}:{servers.inner_ports['registry']}")
    yield proxy
    proxy.stop()


def ask(proxy: AuthProxy, user: str, password: str) -> tuple[int, bytes, dict[str, str]]:
    """Return status, body and headers of a response, but for those of the time."""
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=60)
    with closing(connection):
        connection.request("GET", "/v2/", headers={"Authorization": f"Basic {login}"})
        response = connection.getresponse()
        headers = {k: v for k, v in response.getheaders() if k != "Date"}
        return response.status, response.read(), headers


def audit(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the audit log."""
    lines = (folder / "caddy.log").read_text().splitlines()
    return [x for x in map(json.loads, lines) if "status" in x]


def test_a_login_works_until_its_end_and_not_after_it(proxy: AuthProxy, tmp_path: Path) -> None:
    """Nothing restarts and no update runs then: the proxy's clock decides."""
    end = int(time.time()) + 4
    proxy.configure(RIGHTS, {"ci": end})
    proxy.start()
    statuses: dict[bool, set[int]] = {True: set(), False: set()}
    while (began := time.time()) < end + 1.5:
        status, _, _ = ask(proxy, "ci", "ci")
        # Its response may be decided before the second or after it.
        if time.time() < end or began >= end:
            statuses[began >= end].add(status)
    assert statuses == {False: {200}, True: {401}}
    assert ask(proxy, "forever", "forever")[0] == 200
    assert ask(proxy, "admin", "admin")[0] == 200
    refused = [x for x in audit(tmp_path) if x["status"] == 401 and x.get("user_id") == "ci"]
    assert refused
    assert {x["reason"] for x in refused} == {REASON}


def test_no_password_of_a_login_that_has_ended_is_taken_and_none_is_told_from_a_wrong_one(
    proxy: AuthProxy, tmp_path: Path
) -> None:
    """With two generations, a login that the first step refuses goes on to the second."""
    proxy.configure(RIGHTS, {"ci": int(time.time()) - 1}, before="-before")
    proxy.start()
    current, previous, wrong = (ask(proxy, "ci", x) for x in ("ci", "ci-before", "wrong"))
    assert wrong[0] == 401
    assert current == previous == wrong
    assert ask(proxy, "forever", "forever-before")[0] == 200
    of_ci = [x for x in audit(tmp_path) if x["status"] == 401 and "reason" in x]
    assert len(of_ci) == 2


def test_a_later_end_lets_the_same_password_in_again(proxy: AuthProxy) -> None:
    now = int(time.time())
    proxy.configure(RIGHTS, {"ci": now - 1})
    proxy.start()
    assert not proxy.knows("ci")
    proxy.configure(RIGHTS, {"ci": now + 3600})
    deadline = time.monotonic() + 30
    while not proxy.knows("ci"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
