"""The API token is tried before anything is created."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from preflight.cloud import check_token, check_zone
from preflight.errors import NotReadyError
from settings.credentials import Access, find_access
from settings.problems import Problem


@dataclass
class Api:
    """An API that responds as a test says, and keeps path and login of each request."""

    port: int = 0
    status: int = 200
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def ask(self, token: str = "hunter2") -> None:
        check_token(self._access(token))

    def ask_for_zone(self) -> list[Problem]:
        return check_zone(self._access("hunter2"), "example.com")

    def _access(self, token: str) -> Access:
        config = {
            "digitalocean:apiEndpoint": f"http://127.0.0.1:{self.port}/",
            "digitalocean:token": token,
        }
        return find_access(config, {})[0]


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.requests.append((self.path, self.headers["Authorization"]))
            self.send_response(api.status)
            self.send_header("Location", "/elsewhere")
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


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (401, "does not know this API token"),
        (403, "spaces_key:create_credentials, read, update and delete"),
        (503, "HTTP status 503"),
    ],
)
def test_a_refusal_is_told_by_what_it_means(api: Api, status: int, meaning: str) -> None:
    api.status = status
    with pytest.raises(NotReadyError, match=meaning):
        api.ask()


def test_the_token_is_not_sent_to_where_a_redirect_leads(api: Api) -> None:
    api.status = 302
    with pytest.raises(NotReadyError):
        api.ask()
    assert api.requests[1] == ("/elsewhere", None)


def test_a_token_with_a_line_break_is_refused_without_showing_it(api: Api) -> None:
    with pytest.raises(NotReadyError) as error:
        api.ask("hunter2\n")
    assert error.value.problem.key == "digitalocean:token"
    assert error.value.__suppress_context__, "the first error's text has the token in it"
    assert not api.requests


def test_an_api_that_does_not_listen_is_told() -> None:
    with pytest.raises(NotReadyError, match="expected DigitalOcean's API to respond"):
        Api(port=1).ask()


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (403, "domain:create, read, update and delete"),
        (404, "expected a domain of this DigitalOcean account"),
    ],
)
def test_a_zone_that_is_not_of_the_account_is_a_problem(
    api: Api, status: int, meaning: str
) -> None:
    assert api.ask_for_zone() == []
    assert api.requests == [("/v2/domains/example.com", "Bearer hunter2")]
    api.status = status
    (problem,) = api.ask_for_zone()
    assert (problem.key, problem.value) == ("dns.zone", '"example.com"')
    assert meaning in problem.expected
    assert "{" not in problem.fix


@pytest.mark.parametrize(("status", "meaning"), [(401, "does not know"), (503, "status 503")])
def test_an_api_that_cannot_tell_of_a_zone_is_not_ready(
    api: Api, status: int, meaning: str
) -> None:
    api.status = status
    with pytest.raises(NotReadyError, match=meaning):
        api.ask_for_zone()
