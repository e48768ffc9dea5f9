"""The storage check, against a server that does what storage must, but for one request."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.registry.config import credentials_file
from scripts.storage import check_storage, storage_errors
from tests.unit.servers import Request, Result, Serve

RANDOM = "ab" * 4
NAME = f"/images/team/storage-check-{RANDOM}"
REQUESTS = [
    "GET /images?list-type=2&max-keys=1",
    "HEAD /images",
    f"PUT {NAME}",
    f"GET {NAME}",
    f"HEAD {NAME}",
    f"DELETE {NAME}",
    f"POST {NAME}?uploads=",
    f"GET /images?prefix=team%2Fstorage-check-{RANDOM}&uploads=",
    f"GET {NAME}?uploadId=7",
    f"DELETE {NAME}?uploadId=7",
]
"""All that a check sends."""

LINES = [
    "ok: listed the bucket",
    "ok: an anonymous client may not",
    "ok: wrote, read and deleted an object, which an anonymous client may not read",
    "ok: started, listed and aborted an upload in parts",
]


class Storage:
    """A bucket whose contents are what the check writes.

    Attributes:
        requests: What was requested.
        responses: What is responded to a request instead of what it should be.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.responses: dict[str, tuple[int, str]] = {}
        self._content: str | bytes = ""

    def respond(self, request: Request) -> Result:
        line = f"{request.command} {request.path}"
        self.requests.append(line)
        status, content = self.responses.get(line) or self._respond(request)
        return status, {}, content

    def _respond(self, request: Request) -> tuple[int, str | bytes]:
        if "authorization" not in request.headers:
            return 403, ""
        if request.body and request.command != "PUT":
            return 400, ""
        if "upload" in request.path:
            return 200, "<Upload><UploadId>7</UploadId></Upload>"
        if request.command == "PUT":
            self._content = request.body
        return 200, self._content


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    monkeypatch.setattr("os.urandom", lambda count: b"\xab" * count)
    monkeypatch.setattr(storage_errors, "NETWORK_SECONDS", 0)
    yield Storage()
    signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.fixture
def run(
    storage: Storage,
    serve: Serve,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Return a function that runs the command, and returns its status and what it prints."""

    def command(*options: str) -> tuple[int, list[str]]:
        endpoint = serve(storage.respond)
        key = tmp_path / "key"
        key.write_text(credentials_file("AKIA", "hunter2"))
        options = options or ("--folder=team", "--bucket=images")
        argv = ["check_storage", endpoint, "--region=here", f"--key-file={key}", *options]
        monkeypatch.setattr(sys, "argv", argv)
        status = check_storage.main()
        return status, capsys.readouterr().out.replace(endpoint, "http://s3").splitlines()

    return command


def test_storage_that_works_gets_each_request_once_and_keeps_nothing(
    storage: Storage, run: Any
) -> None:
    assert run() == (0, [*LINES, "the storage works: http://s3/images"])
    assert storage.requests == REQUESTS


def test_without_a_folder_the_object_is_at_the_top_of_the_bucket(
    storage: Storage, run: Any
) -> None:
    run("--bucket=images")
    assert storage.requests == [
        request.replace("/team", "").replace("team%2F", "") for request in REQUESTS
    ]


@pytest.mark.parametrize(
    ("request_", "lines", "action", "removal"),
    [
        (0, 0, "s3:ListBucket", []),
        (2, 2, "s3:PutObject", []),
        (3, 2, "s3:GetObject", [5]),
        (5, 2, "s3:DeleteObject", []),
        (6, 3, "s3:PutObject", []),
        (7, 3, "s3:ListBucketMultipartUploads", [9]),
        (8, 3, "s3:ListMultipartUploadParts", [9]),
        (9, 3, "s3:AbortMultipartUpload", []),
    ],
)
def test_each_action_that_is_not_allowed_ends_the_check_and_is_named(
    storage: Storage, run: Any, request_: int, lines: int, action: str, removal: list[int]
) -> None:
    refusal = 403, "<Error><Code>AccessDenied</Code></Error>"
    storage.responses = {REQUESTS[request_]: refusal}
    status, printed = run()
    assert status == 1
    assert printed[:-1] == LINES[:lines]
    assert printed[-1].startswith(f"FAILED: storage.accessKey: this key may not {action};")
    assert storage.requests == REQUESTS[: request_ + 1] + [REQUESTS[x] for x in removal]


@pytest.mark.parametrize(
    ("request_", "content", "problem"),
    [
        (3, "others", f"/team/storage-check-{RANDOM}: it reads other bytes than were written"),
        (7, "<Uploads/>", ": it does not list a started upload"),
    ],
)
def test_storage_that_responds_wrongly_is_refused_and_keeps_nothing(
    storage: Storage, run: Any, request_: int, content: str, problem: str
) -> None:
    storage.responses = {REQUESTS[request_]: (200, content)}
    status, printed = run()
    assert status == 1
    assert printed[-1] == f"FAILED: http://s3/images{problem}"
    assert storage.requests[-1].startswith(f"DELETE {NAME}")


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (200, "storage.bucket = images: everybody may read what is in it; make it private"),
        (503, "an anonymous HEAD of an object gets 503"),
    ],
)
def test_a_bucket_whose_objects_everybody_can_read_is_refused_though_nobody_can_list_it(
    storage: Storage, run: Any, status: int, problem: str
) -> None:
    storage.responses = {f"HEAD {NAME}": (status, "")}
    _, printed = run()
    assert problem in printed[-1]
    assert storage.requests[-1] == f"DELETE {NAME}"


@pytest.mark.parametrize(("options", "seconds"), [([], 50), (["--managed"], 350)])
def test_a_check_ends_in_time_and_later_if_the_stack_has_just_made_the_space(
    run: Any, monkeypatch: pytest.MonkeyPatch, options: list[str], seconds: int
) -> None:
    timers: list[float] = []
    monkeypatch.setattr(
        signal, "setitimer", lambda which, after: timers.append(after) if which == 0 else None
    )
    run("--bucket=images", *options)
    assert timers == [seconds]


def test_a_bucket_in_the_host_name_is_not_named_in_the_path(storage: Storage, run: Any) -> None:
    _, (failure,) = run("--bucket=images", "--virtual-host")
    assert failure.startswith("FAILED: storage.pathStyle: the name images.127.0.0.1 does not ")
    assert not storage.requests
