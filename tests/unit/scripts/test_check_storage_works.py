"""The storage check, against a server that does what storage must, but for one request."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from components.registry.config import credentials_file
from scripts.storage import check_storage, storage_errors
from tests.unit.servers import Request, Result, Serve

RANDOM = "ab" * 4
NAME = f"/images/team/storage-check-{RANDOM}"
NAMES = [f"{NAME}/{name}" for name in ("a-b", "a.b", "a/b")]
PAGE = f"list-type=2&max-keys=1&prefix=team%2Fstorage-check-{RANDOM}%2F"
REQUESTS = [
    "GET /images?list-type=2&max-keys=1",
    "HEAD /images",
    f"PUT {NAME}",
    f"GET {NAME}",
    f"HEAD {NAME}",
    f"DELETE {NAME}",
    *(f"PUT {name}" for name in NAMES),
    f"GET /images?{PAGE}",
    f"GET /images?continuation-token=1&{PAGE}",
    f"GET /images?continuation-token=2&{PAGE}",
    *(f"DELETE {name}" for name in reversed(NAMES)),
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
    "ok: listed objects in order, page by page",
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
        self.names = NAMES
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
        if "list-type" in request.path:
            query = dict(parse_qsl(urlsplit(request.path).query))
            return 200, self._page(query.get("prefix", ""), int(query.get("continuation-token", 0)))
        if request.command == "PUT":
            self._content = request.body
        return 200, self._content

    def _page(self, prefix: str, start: int) -> str:
        keys = [name.removeprefix("/images/") for name in self.names] if prefix else []
        keys = [prefix + key[key.index(RANDOM) + len(RANDOM) + 1 :] for key in keys]
        rows = [
            f"<Contents><Key>{key}</Key><LastModified>2026-11-30T15:46:46Z</LastModified>"
            "<ETag>e</ETag><Size>0</Size></Contents>"
            for key in keys[start : start + 1]
        ]
        more = start + 1 < len(keys)
        token = f"<NextContinuationToken>{start + 1}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>images</Name><Prefix>{prefix}</Prefix>{''.join(rows)}{token}"
            f"<KeyCount>{len(rows)}</KeyCount><IsTruncated>{str(more).lower()}</IsTruncated>"
            "</ListBucketResult>"
        )


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
        (8, 3, "s3:PutObject", [13, 14]),
        (10, 3, "s3:ListBucket", [12, 13, 14]),
        (15, 4, "s3:PutObject", []),
        (16, 4, "s3:ListBucketMultipartUploads", [18]),
        (17, 4, "s3:ListMultipartUploadParts", [18]),
        (18, 4, "s3:AbortMultipartUpload", []),
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
        (16, "<Uploads/>", ": it does not list a started upload"),
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
    ("request_", "content"),
    [
        (0, "<Error><Code>InternalError</Code></Error>"),
        (0, "<html xmlns='http://www.w3.org/1999/xhtml'><body/></html>"),
        (9, "<ListBucketResult/>"),
        (10, ""),
    ],
)
def test_a_server_whose_lists_prove_nothing_is_refused_and_nothing_is_left(
    storage: Storage, run: Any, request_: int, content: str
) -> None:
    storage.responses = {REQUESTS[request_]: (200, content)}
    status, printed = run()
    assert status == 1
    assert printed[-1].startswith(
        "FAILED: storage.endpoint = http://s3: its lists cannot be relied"
    )
    assert printed[-1].endswith("update the server, or take another; fix: pulumi config set "
                                "--path storage.endpoint ...")  # fmt: skip
    written = [line[4:] for line in storage.requests if line.startswith("PUT")]
    assert sorted(written) == sorted(x[7:] for x in storage.requests if x.startswith("DELETE"))


@pytest.mark.parametrize(
    "names", [[NAMES[2], *NAMES[:2]], NAMES[:2], [*NAMES, NAMES[2]], [*NAMES, f"{NAME}/b"]]
)
def test_lists_in_the_order_of_a_file_system_or_without_an_object_are_refused(
    storage: Storage, run: Any, names: list[str]
) -> None:
    storage.names = names
    status, printed = run()
    assert status == 1
    assert "its lists cannot be relied on" in printed[-1]


def test_of_a_space_of_the_stack_no_setting_is_named(storage: Storage, run: Any) -> None:
    storage.names = NAMES[:2]
    _, printed = run("--bucket=images", "--folder=team", "--managed")
    assert printed[-1].startswith("FAILED: http://s3/images: its lists cannot be relied on: ")
    assert "fix:" not in printed[-1]


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


@pytest.mark.parametrize("folder", ["", "team"])
@pytest.mark.parametrize("images", [False, True])
def test_a_cache_that_would_hide_images_is_refused(
    storage: Storage, run: Any, folder: str, images: bool
) -> None:
    """They would be there, and nobody could pull them."""
    prefix = f"{folder}/".lstrip("/") + "docker/registry/v2/repositories/cache/hub/"
    line = f"GET /images?list-type=2&max-keys=1&prefix={quote(prefix, safe='')}"
    if not images:
        empty = "<KeyCount>0</KeyCount><IsTruncated>false</IsTruncated>"
        page = f"<Name>images</Name><Prefix>{prefix}</Prefix>{empty}"
        storage.responses = {line: (200, f"<ListBucketResult>{page}</ListBucketResult>")}
    status, printed = run("--bucket=images", f"--folder={folder}", "--hidden=cache/hub")
    assert line in storage.requests
    assert status == images
    assert ("ok: found no images in cache/hub/" in printed) != images
    assert printed[-1].startswith("FAILED: there are images in cache/hub/, which") == images
