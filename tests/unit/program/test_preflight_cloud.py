"""The API token is tried before anything is created."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from preflight import cloud
from preflight.cloud import check_token, check_zone
from preflight.errors import NotReadyError
from scripts.shared.registry_client import RegistryError
from settings.credentials import CloudAccess, find_access
from settings.problems import Problem
from tests.unit.conftest import Golden
from tests.unit.program.clock import Clock


@dataclass
class Api:
    """An API that responds as a test says, and keeps path and login of each request.

    Attributes:
        status: The status of its responses, but for the first ones.
        headers: More headers of them.
        busy: How many of the first ones say that there were too many requests.
    """

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    busy: int = 0
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def ask(self, token: str = "hunter2") -> None:
        check_token(self._access(token))

    def ask_for_zone(self) -> list[Problem]:
        return check_zone(self._access("hunter2"), "example.com")

    def _access(self, token: str) -> CloudAccess:
        config = {
            "digitalocean:apiEndpoint": f"http://127.0.0.1:{self.port}/",
            "digitalocean:token": token,
        }
        return find_access(config, {})[0]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(cloud, "time", clock)
    return clock


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.requests.append((self.path, self.headers["Authorization"]))
            busy, api.busy = api.busy > 0, api.busy - 1
            self.send_response(429 if busy else api.status)
            for name, value in {**api.headers, "Location": "/elsewhere"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        api.port = server.server_port
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield api
        server.shutdown()
        thread.join()


def test_a_good_token_is_no_problem(api: Api) -> None:
    api.ask()
    assert api.requests == [("/v2/spaces/keys?per_page=1", "Bearer hunter2")]


def test_each_refusal_is_shown_by_what_it_means_with_its_fix(api: Api, golden: Golden) -> None:
    lines: list[str] = []
    for api.status in (302, 401, 403, 404, 503):
        for ask in (api.ask, api.ask_for_zone):
            try:
                problems = ask() or []
            except NotReadyError as error:
                problems = [error.problem]
            for problem in problems:
                lines += [f"{ask.__name__}, status {api.status}: {problem.key} = {problem.value}"]
                lines += [f"  {problem.expected}", f"  fix: {problem.fix}"]
    golden("cloud.txt", "\n".join(lines).replace(str(api.port), "<port>"))


def test_a_response_is_not_waited_for_for_ever(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(_: urllib.request.Request, seconds: float) -> None:
        raise RegistryError(f"{seconds} s have passed")

    monkeypatch.setattr(cloud, "send", hang)
    with pytest.raises(NotReadyError, match="API to respond: 10 s have passed"):
        api.ask()


def test_the_token_is_not_sent_to_where_a_redirect_leads(api: Api) -> None:
    api.status = 302
    with pytest.raises(NotReadyError):
        api.ask()
    assert len(api.requests) == 1


def test_a_token_with_a_line_break_is_refused_without_showing_it(api: Api) -> None:
    with pytest.raises(NotReadyError) as error:
        api.ask("hunter2\n")
    assert error.value.problem.key == "digitalocean:token"
    assert error.value.__suppress_context__, "the first error's text has the token in it"
    assert not api.requests


def test_an_api_that_does_not_listen_is_told() -> None:
    with pytest.raises(NotReadyError, match=r"expected DigitalOcean's API to respond: \[Errno"):
        Api(port=1).ask()


def test_a_zone_of_the_account_is_no_problem(api: Api) -> None:
    assert api.ask_for_zone() == []
    assert api.requests == [("/v2/domains/example.com", "Bearer hunter2")]


@pytest.mark.parametrize(
    ("status", "ready"), [(401, False), (403, True), (404, True), (503, False)]
)
def test_an_api_that_cannot_tell_of_a_zone_is_not_ready(api: Api, status: int, ready: bool) -> None:
    api.status = status
    if ready:
        assert api.ask_for_zone()
    else:
        with pytest.raises(NotReadyError):
            api.ask_for_zone()


@pytest.mark.parametrize(
    ("told", "pauses"),
    [("7", [7, 7]), ("3600", [30, 30]), ("", [1, 2]), ("Mon, 30 Nov 2026 18:00:00 GMT", [1, 2])],
)
def test_an_api_that_is_busy_is_asked_again_when_it_says(
    api: Api, clock: Clock, told: str, pauses: list[float]
) -> None:
    """One such response failed `pulumi up`."""
    api.busy, api.headers = 2, {"Retry-After": told}
    api.ask()
    assert clock.sleeps == pauses


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_api_that_stays_busy_is_told_in_the_end(api: Api, clock: Clock, status: int) -> None:
    api.status = status
    with pytest.raises(NotReadyError, match=f"to respond: HTTP status {status}"):
        api.ask()
    assert clock.sleeps == [1, 2, 4, 8], "as the provider does"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_of_the_api_is_final(api: Api, clock: Clock, status: int) -> None:
    api.status = status
    with pytest.raises(NotReadyError):
        api.ask()
    assert not clock.sleeps
