"""What `up` says of the registry as this machine reaches it."""

from __future__ import annotations

import ssl
import threading
from urllib.request import Request as Sent

import pulumi
import pytest

from components.ingress import reachability, report_ingress
from scripts.shared import registry_client
from settings.tls import TlsCertManager, TlsLetsEncrypt, TlsNone, TlsSecret, TlsSettings
from tests.unit.odd_servers import ODD, OddServer
from tests.unit.program.clock import Clock
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.servers import Request, Result, Serve


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(reachability, "time", clock := Clock())
    return clock


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    logged: dict[str, list[str]] = {"info": [], "warn": []}
    for kind, texts in logged.items():
        monkeypatch.setattr(pulumi.log, kind, texts.append)
    return logged


REGISTRY = (401, {"WWW-Authenticate": 'Basic realm="registry"'}, "")
OTHERS = [(200, {}, ""), (404, {}, ""), (401, {"WWW-Authenticate": 'Basic realm="other"'}, "")]
ADVICE = """
The registry works inside the cluster; DNS record, certificate and ingress are not tested. \
Test them where clients are: the output readme says how."""


def test_a_registry_that_asks_for_a_login_is_reached(
    serve: Serve, messages: dict[str, list[str]]
) -> None:
    url = serve(lambda request: REGISTRY if request.path == "/v2/" else OTHERS[1])
    assert report_ingress(f"{url}/v2/", TlsNone(), str) is True
    assert messages == {"info": [f"{url}/v2/ asks for a login, as it should"], "warn": []}


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("other", OTHERS)
def test_something_else_under_the_hostname_is_reported(
    serve: Serve, messages: dict[str, list[str]], other: Result
) -> None:
    url = serve(lambda _: other)
    assert report_ingress(f"{url}/v2/", TlsNone(), str) is False
    problem = (
        f"expected the registry's status 401, got {other[0]}: something else has this hostname"
    )
    warning = f"{url}/v2/ was not reached from this machine: {problem}{ADVICE}"
    assert messages == {"info": [], "warn": [warning]}


@pytest.mark.usefixtures("clock")
def test_a_certificate_that_this_machine_does_not_trust_is_a_warning(
    serve: Serve, messages: dict[str, list[str]]
) -> None:
    url = serve(lambda _: REGISTRY, tls=True)
    report_ingress(f"{url}/v2/", TlsSecret(), str)
    reason = f"{url}/v2/ was not reached from this machine: [SSL: CERTIFICATE_VERIFY_FAILED]"
    assert messages["warn"][0].startswith(reason)
    assert not messages["info"]


@pytest.mark.usefixtures("clock")
def test_a_registry_that_does_not_respond_is_a_warning(
    serve: Serve, messages: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = threading.Event()

    def respond(_: Request) -> Result:
        done.wait()
        return REGISTRY

    monkeypatch.setattr(reachability, "TIMEOUT_SECONDS", 0.02)
    url = serve(respond)
    report_ingress(f"{url}/v2/", TlsNone(), str)
    done.set()
    assert "was not reached from this machine: timed out\n" in messages["warn"][0]


def test_an_ingress_controller_has_time_to_learn_of_the_registry(
    serve: Serve, messages: dict[str, list[str]], clock: Clock
) -> None:
    responses = [OTHERS[1], REGISTRY]
    report_ingress(f"{serve(lambda _: responses.pop(0))}/v2/", TlsNone(), str)
    assert not messages["warn"]
    assert clock.sleeps == [0.5]


LETS_ENCRYPT = TlsLetsEncrypt(email="you@example.com")
NONE, WRONG = ssl.SSLError("none"), ssl.SSLCertVerificationError("wrong")


@pytest.mark.parametrize(
    ("tls", "problem", "seconds"),
    [(LETS_ENCRYPT, NONE, 60), (LETS_ENCRYPT, WRONG, 4), (TlsSecret(), NONE, 4)],
)
def test_up_waits_for_a_certificate_that_is_on_its_way(
    messages: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    tls: TlsSettings,
    problem: ssl.SSLError,
    seconds: int,
) -> None:
    requests: list[tuple[str, float]] = []

    def refuse(request: Sent, *, seconds: float) -> None:
        requests.append((request.full_url, seconds))
        raise registry_client.RegistryError(str(problem)) from problem

    monkeypatch.setattr(registry_client, "send", refuse)
    report_ingress("https://registry.example.com/v2/", tls, str)
    assert clock.sleeps == [0.5] * 2 * seconds
    assert set(requests) == {("https://registry.example.com/v2/", 5)}
    waiting = f"waiting up to 60 s for the certificate: {problem}"
    assert messages["info"] == ([waiting] if seconds == 60 else [])
    assert len(messages["warn"]) == 1


@pytest.mark.usefixtures("clock")
def test_the_reason_of_a_missing_certificate_is_in_the_warning(
    messages: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warning(problem: OSError, reason: str, tls: TlsSettings = LETS_ENCRYPT) -> str:
        def refuse(*_: object, **__: object) -> None:
            raise registry_client.RegistryError(str(problem)) from problem

        monkeypatch.setattr(registry_client, "send", refuse)
        report_ingress(URL, tls, lambda: reason)
        return messages["warn"].pop().partition("\n")[0]

    start = f"{URL} was not reached from this machine: "
    assert warning(NONE, "HTTP 403") == f"{start}there is no certificate yet: HTTP 403"
    page = "docs/ingress.md#who-terminates-tls"
    missing = f"{start}there is no certificate yet: {NONE}; "
    assert warning(NONE, "") == f"{missing}where to look: {page}"
    create = f"{missing}create the Secret registry-tls: {page}"
    assert warning(NONE, "", TlsSecret()) == create
    # No pod is ready: the connection ends without a reason.
    assert warning(end := ssl.SSLEOFError("EOF"), "") == f"{start}{end}"
    assert warning(WRONG, "HTTP 403") == f"{start}{WRONG}"
    cert_manager = TlsCertManager(issuer="x")
    temporary = warning(WRONG, "HTTP 403", cert_manager)
    assert temporary == f"{start}there is no certificate yet: HTTP 403"
    assert warning(OSError("no route"), "HTTP 403", cert_manager) == f"{start}no route"
    assert warning(OSError("no route"), "HTTP 403") == f"{start}no route"


@pytest.mark.parametrize("client_ca", ["PEM", None])
def test_a_registry_that_wants_a_certificate_of_its_clients_is_reached_if_it_should(
    messages: dict[str, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
    client_ca: str | None,
) -> None:
    """Where a client certificate is asked for, a warning at each update would be a false one."""

    def refuse(*_: object, **__: object) -> None:
        alert = ssl.SSLError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] alert (_ssl.c:2580)")
        raise registry_client.RegistryError(str(alert)) from alert

    monkeypatch.setattr(registry_client, "send", refuse)
    tls = TlsSecret.model_construct(client_ca=client_ca)
    assert report_ingress(URL, tls, str) is bool(client_ca)
    assert bool(clock.sleeps) is not bool(client_ca), "there is nothing to wait for"
    asks = f"{URL} asks for a client certificate, as it should"
    assert messages["info"] == ([asks] if client_ca else [])
    assert len(messages["warn"]) == (0 if client_ca else 1)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("name", ODD)
def test_no_server_under_the_hostname_is_more_than_a_warning(
    name: str, odd_server: OddServer, messages: dict[str, list[str]]
) -> None:
    """All is created by then: an error would fail this update, and each one after it."""
    url = f"{odd_server(lambda: [ODD[name]])}/v2/"
    assert report_ingress(url, LETS_ENCRYPT, str) is False
    (warning,) = messages["warn"]
    assert warning.startswith(f"{url} was not reached from this machine: ")
    assert warning.endswith(ADVICE)


URL = f"https://{CONFIG['hostname']}/v2/"


def test_only_an_update_ends_with_the_request(run: Run) -> None:
    assert run().requests == [(URL, "secret")]
    assert run({**CONFIG, "tls": {"mode": "none"}}).requests == [(URL, "none")]
    assert run(preview=True).requests == []
