"""The storage check, against servers that do not do what a store must."""

from __future__ import annotations

import email.utils
import http.server
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.storage import credentials_file
from sandbox import pki
from scripts import check_storage
from scripts.check_storage import StorageError, Store, check
from scripts.s3 import Bucket, Key
from tests.unit.program.conftest import ROOT

Answers = Callable[[http.server.BaseHTTPRequestHandler], tuple[int, dict[str, str], str]]
Serve = Callable[..., str]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answer a function that starts a server on loopback, and answers its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answers: Answers, *, tls: bool = False) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, headers, body = answers(self)
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """Say nothing of clients that speak something else: that is what they are for."""

        server = Server(("127.0.0.1", 0), Handler)
        if tls:
            pki.authority(tmp_path)
            certificate, key = pki.issue(tmp_path, "store", ips=["127.0.0.1"])
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_storage, "NETWORK_SECONDS", 0)
    monkeypatch.setattr("scripts.s3.REQUEST_SECONDS", 0.3)


def refused(code: str, status: int = 403, inside: str = "", **headers: str) -> Answers:
    body = f"<Error><Code>{code}</Code><Message>no</Message>{inside}</Error>"
    return lambda _: (status, {name.replace("_", "-"): x for name, x in headers.items()}, body)


def failure(endpoint: str, *, path_style: bool = True, managed: bool = False) -> str:
    bucket = Bucket(endpoint, "us-east-1", "images", path_style, Key("AKIA", "hunter2"))
    with pytest.raises(StorageError) as error:
        list(check(Store(bucket, managed), ""))
    said = str(error.value)
    assert "\n" not in said, "Pulumi shows the last lines only"
    assert "hunter2" not in said
    return said


@pytest.mark.parametrize(
    ("answers", "wrong", "fix"),
    [
        (refused("InvalidAccessKeyId"), "storage.accessKey: the store does not know this key",
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
def test_a_refusal_names_the_setting_that_is_wrong_and_the_command_that_mends_it(
    serve: Serve, answers: Answers, wrong: str, fix: str
) -> None:
    said = failure(serve(answers))
    assert wrong in said
    assert f"fix: pulumi config set {fix}" in said


def test_a_clock_that_is_off_is_named_with_the_difference(serve: Serve) -> None:
    date = email.utils.formatdate(time.time() - 3600)
    said = failure(serve(refused("RequestTimeTooSkewed", Date=date)))
    assert re.search(r"the node's clock is \+360\d s off the store's", said)


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
    said = failure("http://localhost:1", path_style=False)
    assert "fix: pulumi config set --path storage.pathStyle true" in said


def test_a_port_where_nothing_listens_is_named() -> None:
    assert "nothing listens there" in failure("http://127.0.0.1:9")


def test_a_server_that_does_not_answer_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = failure(f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "no answer in time" in said


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


def test_a_certificate_that_nobody_knows_is_named(serve: Serve) -> None:
    said = failure(serve(refused("X"), tls=True))
    assert "its certificate is not trusted: unable to get local issuer certificate" in said


def listed_by(status: int) -> Answers:
    """Answer a stranger with a status, and whoever signs with 200."""
    return lambda request: (200 if request.headers.get("Authorization") else status, {}, "")


def test_a_bucket_that_everybody_can_list_is_refused(serve: Serve) -> None:
    said = failure(serve(listed_by(200)))
    assert "storage.bucket = images: everybody may list it" in said, "a registry is private"


def test_a_store_that_the_registrys_health_check_would_misjudge_is_refused(serve: Serve) -> None:
    assert "gets 401, where the registry needs 403" in failure(serve(listed_by(401)))


def test_a_key_that_may_only_read_is_told_what_it_may_not(serve: Serve) -> None:
    def read_only(request: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], str]:
        if request.command == "PUT":
            return refused("AccessDenied")(request)
        return listed_by(403)(request)

    assert "this key may not s3:PutObject; allow it" in failure(serve(read_only))


def test_a_store_that_gives_back_other_bytes_is_refused(serve: Serve) -> None:
    assert "what was read is not what was written" in failure(serve(listed_by(403)))


def test_a_new_key_is_waited_for_where_the_stack_made_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def late(request: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], str]:
        asked.append(request.command)
        return refused("InvalidAccessKeyId")(request) if len(asked) < 3 else listed_by(401)(request)

    monkeypatch.setattr(time, "sleep", lambda _: None)
    said = failure(serve(late), managed=True)
    assert asked == ["GET", "GET", "GET", "HEAD"]
    assert "storage." not in said, "no setting names what the stack makes itself"


def test_a_key_of_the_users_is_not_waited_for(serve: Serve) -> None:
    asked: list[str] = []

    def never(request: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], str]:
        asked.append(request.command)
        return refused("InvalidAccessKeyId")(request)

    failure(serve(never))
    assert asked == ["GET"]


def test_a_server_that_answers_without_end_is_not_waited_for(
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def endless(request: http.server.BaseHTTPRequestHandler) -> tuple[int, dict[str, str], str]:
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
    assert "no answer in time" in capsys.readouterr().out


def test_it_runs_without_anything_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "scripts.check_storage", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--virtual-host" in done.stdout
