"""The storage check, against servers that do not do what storage must."""

from __future__ import annotations

import email.utils
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.registry.config import credentials_file
from scripts.shared.s3 import Bucket, Key
from scripts.storage import check_storage, storage_errors
from scripts.storage.check_storage import Storage, check
from scripts.storage.storage_errors import UnusableStorageError
from tests.unit.program.conftest import ROOT
from tests.unit.servers import Handle, Request, Result, Serve


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_errors, "NETWORK_SECONDS", 0)
    monkeypatch.setattr(storage_errors, "NEW_SECONDS", 0)
    monkeypatch.setattr("scripts.shared.s3.REQUEST_SECONDS", 0.3)


def refused(code: str, status: int = 403, inside: str = "", **headers: str) -> Handle:
    body = f"<Error><Code>{code}</Code><Message>no</Message>{inside}</Error>"
    return lambda _: (status, {name.replace("_", "-"): x for name, x in headers.items()}, body)


def failure(endpoint: str, *, path_style: bool = True, managed: bool = False) -> str:
    bucket = Bucket(endpoint, "us-east-1", "images", path_style, Key("AKIA", "hunter2"))
    with pytest.raises(UnusableStorageError) as error:
        list(check(Storage(bucket, managed), ""))
    message = str(error.value)
    assert "\n" not in message, "Pulumi shows the last lines only"
    assert "hunter2" not in message
    return message


@pytest.mark.parametrize(
    ("handle", "wrong", "fix"),
    [
        (refused("InvalidAccessKeyId"), "storage.accessKey: the storage does not know this key",
         "--path storage.accessKey ..."),
        (refused("SignatureDoesNotMatch"), "storage.secretKey: this is not the secret",
         "--path --secret storage.secretKey"),
        (refused("NoSuchBucket", 404), "storage.bucket = images: there is no such bucket",
         "--path storage.bucket ..."),
        (refused("NoSuchKey", 404), "its host name has a bucket in it already",
         "--path storage.endpoint ..."),
        (refused("AuthorizationHeaderMalformed", 400, "<Region>eu-west-1</Region>"),
         "storage.region = us-east-1: the bucket is in another one, eu-west-1",
         "--path storage.region eu-west-1"),
        (refused("AuthorizationHeaderMalformed", 400, x_amz_bucket_region="eu-west-1"),
         "storage.region = us-east-1: the bucket is in another one, eu-west-1",
         "--path storage.region eu-west-1"),
        (refused("PermanentRedirect", 301,
                 "<Endpoint>images.s3.eu-west-1.amazonaws.com</Endpoint>",
                 x_amz_bucket_region="eu-west-1"),
         "the bucket is in another region, eu-west-1",
         "--path storage.endpoint https://s3.eu-west-1.amazonaws.com"),
        (refused("AccessDenied"), "storage.accessKey: this key may not s3:ListBucket",
         "--path storage.accessKey ..."),
        (refused("SlowDown", 503), "s3:ListBucket gets 503 SlowDown: no",
         "--path storage.endpoint ..."),
        (lambda _: (301, {"Location": "https://127.0.0.1/"}, ""), "it speaks https, not http",
         "--path storage.endpoint https://127.0.0.1"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_wrong_setting_and_the_command_that_fixes_it(
    serve: Serve, handle: Handle, wrong: str, fix: str
) -> None:
    message = failure(serve(handle))
    assert wrong in message
    assert f"fix: pulumi config set {fix}" in message


def test_a_clock_that_is_off_is_named_with_the_difference(serve: Serve) -> None:
    date = email.utils.formatdate(time.time() - 3600)
    message = failure(serve(refused("RequestTimeTooSkewed", Date=date)))
    assert re.search(r"the node's clock is \+360\d s off the storage's", message)


def test_a_host_name_that_does_not_resolve_is_named() -> None:
    assert "the name nowhere.invalid does not resolve" in failure("http://nowhere.invalid")


def test_a_bucket_without_host_name_under_a_good_endpoint_asks_for_path_style(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve = socket.getaddrinfo

    def no_bucket(host: str, *rest: Any, **how: Any) -> Any:
        if host.startswith("images."):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *rest, **how)

    monkeypatch.setattr(socket, "getaddrinfo", no_bucket)
    message = failure("http://localhost:1", path_style=False)
    assert "fix: pulumi config set --path storage.pathStyle true" in message


def test_a_port_where_nothing_listens_is_named() -> None:
    assert "nothing listens there" in failure("http://127.0.0.1:9")


def test_a_server_that_does_not_respond_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        message = failure(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "no response in time" in message


def test_https_spoken_to_http_and_http_spoken_to_https_are_told_apart(serve: Serve) -> None:
    plain, secure = serve(refused("X")), serve(refused("X"), tls=True)
    as_https = plain.replace("http:", "https:")
    assert f"speaks http, not https; fix: pulumi config set --path storage.endpoint {plain}" in (
        failure(as_https)
    )
    as_http = secure.replace("https:", "http:")
    assert f"speaks https, not http; fix: pulumi config set --path storage.endpoint {secure}" in (
        failure(as_http)
    )


def test_a_certificate_that_is_not_trusted_is_named(serve: Serve) -> None:
    message = failure(serve(refused("X"), tls=True))
    assert "its certificate is not trusted: unable to get local issuer certificate" in message


EMPTY = (
    "<ListBucketResult><Name>images</Name><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"
    "</ListBucketResult>"
)


def open_to(status: int) -> Handle:
    """Respond to anonymous requests with a status, and to signed ones with 200."""

    def handle(request: Request) -> Result:
        signed = request.headers.get("Authorization")
        return 200 if signed else status, {}, EMPTY if "list-type" in request.path else ""

    return handle


def test_a_bucket_that_everybody_can_list_is_refused(serve: Serve) -> None:
    message = failure(serve(open_to(200)))
    assert "storage.bucket = images: everybody may list it" in message, "a registry is private"


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_private_bucket_may_refuse_anonymous_clients_in_any_way(
    serve: Serve, status: int
) -> None:
    assert "reads other bytes" in failure(serve(open_to(status))), "the check must have gone on"


def test_a_server_that_does_not_say_whether_the_bucket_is_private_is_refused(serve: Serve) -> None:
    message = failure(serve(open_to(503)))
    assert "an anonymous HEAD of the bucket gets 503" in message


def test_an_action_that_the_key_is_not_allowed_is_named(serve: Serve) -> None:
    def read_only(request: Request) -> Result:
        if request.command == "PUT":
            return refused("AccessDenied")(request)
        return open_to(403)(request)

    assert "this key may not s3:PutObject; allow it" in failure(serve(read_only))


def test_storage_that_returns_other_bytes_is_refused(serve: Serve) -> None:
    assert "it reads other bytes than were written" in failure(serve(open_to(403)))


def test_what_failed_first_is_reported_even_if_the_deletion_fails_too(serve: Serve) -> None:
    requests: list[str] = []

    def unreadable(request: Request) -> Result:
        requests.append(request.command)
        if request.path.startswith("/images/storage-check-") and request.command != "PUT":
            return refused("AccessDenied")(request)
        return open_to(403)(request)

    assert "this key may not s3:GetObject" in failure(serve(unreadable))
    assert requests[-1] == "DELETE", "the check must leave nothing behind"


def test_a_failed_deletion_is_reported(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.urandom", lambda _: b"x")

    def undeletable(request: Request) -> Result:
        if request.command == "DELETE":
            return refused("AccessDenied")(request)
        status, headers, body = open_to(403)(request)
        return status, headers, "x" if request.path.startswith("/images/storage-check-") else body

    assert "this key may not s3:DeleteObject" in failure(serve(undeletable))


@pytest.mark.parametrize(
    "unknown", [refused("InvalidAccessKeyId"), refused("NoSuchBucket", 404), refused("", 403)]
)
def test_a_key_and_a_space_of_the_stack_may_be_unknown_at_first(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    unknown: Handle,
) -> None:
    requests: list[str] = []

    def late(request: Request) -> Result:
        requests.append(request.command)
        return unknown(request) if len(requests) < 4 else open_to(403)(request)

    pauses: list[float] = []
    monkeypatch.setattr(storage_errors, "NEW_SECONDS", 300)
    monkeypatch.setattr(time, "sleep", pauses.append)
    message = failure(serve(late), managed=True)
    assert requests[:5] == ["GET", "GET", "GET", "GET", "HEAD"]
    assert pauses == [1, 1, 1]
    assert "storage." not in message, "no setting names what the stack creates"
    waiting = [line for line in capsys.readouterr().out.splitlines() if "waiting" in line]
    assert len(waiting) == 1, "one line says what it waits for"
    assert waiting[0].startswith("waiting for up to 300 s: http://127.0.0.1:")
    assert "fix:" not in waiting[0], "nothing is to be fixed yet"


def test_a_key_of_the_stack_that_stays_unknown_is_refused_in_the_end(serve: Serve) -> None:
    message = failure(serve(refused("InvalidAccessKeyId")), managed=True)
    assert "the storage does not know this key; fix: pulumi up --refresh" in message


def test_a_key_of_the_users_is_not_waited_for(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not become right by itself, and who has mistyped it wants to know at once."""
    requests: list[str] = []
    monkeypatch.setattr(storage_errors, "NEW_SECONDS", 300)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))

    def never(request: Request) -> Result:
        requests.append(request.command)
        return refused("InvalidAccessKeyId")(request)

    failure(serve(never))
    assert requests == ["GET"]


def test_a_response_without_end_is_not_waited_for(
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def endless(request: Request) -> Result:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(50):
            request.wfile.write(b"x")
            time.sleep(0.1)
        return 200, {}, ""

    monkeypatch.setattr(check_storage, "TOTAL_SECONDS", 0.5)
    key_file = tmp_path / "key"
    key_file.write_text(credentials_file("AKIA", "hunter2"))
    argv = [
        "check_storage.py",
        serve(endless),
        "--region=r",
        "--bucket=b",
        f"--key-file={key_file}",
    ]
    monkeypatch.setattr(sys, "argv", argv)
    try:
        assert check_storage.main() == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert "no response in time" in capsys.readouterr().out


def test_it_runs_without_anything_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "scripts.storage.check_storage", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--virtual-host" in done.stdout
