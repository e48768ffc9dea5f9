"""The objects of a bucket, on a server that fails when it is to."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from scripts.shared.objects import Objects, StorageError
from scripts.shared.s3 import Bucket, Key

PAGE = 2
DATE = "Wed, 26 Nov 2025 12:00:00 GMT"
NOON = 1764158400.0


class Server(ThreadingHTTPServer):
    """A server with a few objects, which fails as often as there are failures."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.stored: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.parts: list[bytes] = []
        self.failures: list[str] = []
        self.headers = {"Date": DATE, "Last-Modified": DATE, "ETag": '"e"'}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        key = unquote(parts.path).removeprefix("/images").removeprefix("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        source = unquote(self.headers.get("x-amz-copy-source", ""))
        part = self.headers.get("x-amz-copy-source-range") or self.headers.get("range", "")
        self.server.requests.append(f"{self.command} {key} {part}".strip())
        failure = self.server.failures.pop(0) if self.server.failures else ""
        if failure == "hang up":
            self.close_connection = True
        elif failure == "cut":
            self.respond(200, b"half", length=100)
            self.close_connection = True
        elif failure == "404":
            self.respond(404, b"<html><h1>404 page not found</h1></html>")
        elif failure.isdigit():
            self.respond(int(failure), b"<Error><Code>SlowDown</Code></Error>")
        elif failure:
            self.respond(200, failure.encode())
        elif "list-type" in query:
            self.respond(200, self.page(query))
        elif "uploads" in query:
            self.respond(200, b"<R><UploadId>one</UploadId></R>")
        elif self.command == "PUT" and source:
            self.server.stored[key] = self.server.stored[source.removeprefix("/images/")]
            self.respond(200, b"<CopyResult><ETag>e</ETag></CopyResult>")
        elif "partNumber" in query:
            self.server.parts.append(body)
            self.respond(200, b"")
        elif self.command in {"PUT", "POST"}:
            self.server.stored[key] = body
            self.respond(200, b"")
        elif self.command == "DELETE":
            self.respond(204 if self.server.stored.pop(key, None) else 404, b"")
        elif key in self.server.stored and part:
            start, end = map(int, part.removeprefix("bytes=").split("-"))
            self.respond(206, self.server.stored[key][start : end + 1])
        elif key in self.server.stored:
            self.respond(200, self.server.stored[key])
        else:
            self.respond(404, b"<Error><Code>NoSuchKey</Code></Error>")

    def page(self, query: dict[str, str]) -> bytes:
        start = int(query.get("continuation-token", 0))
        keys = [key for key in sorted(self.server.stored) if key.startswith(query["prefix"])]
        rows = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2025-11-26T11:59:58.5Z</LastModified>"
            f"<ETag>&quot;e&quot;</ETag><Size>{len(self.server.stored[key])}</Size></Contents>"
            for key in keys[start : start + PAGE]
        )
        more = start + PAGE < len(keys)
        rest = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        return (
            f"<ListBucketResult><Name>images</Name><Prefix>{query['prefix']}</Prefix>{rows}{rest}"
            f"<KeyCount>{rows.count('<Key>')}</KeyCount><IsTruncated>{str(more).lower()}"
            "</IsTruncated></ListBucketResult>"
        ).encode()

    def respond(self, status: int, body: bytes, length: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.01,))
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def objects(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Objects]:
    monkeypatch.setattr("scripts.shared.objects.RETRY_SECONDS", (0, 0))
    bucket = Bucket(f"http://127.0.0.1:{server.server_port}", "r", "images", True, Key("a", "s"))
    with Objects(bucket, "k3s", threads=2) as opened:
        yield opened


def test_a_listing_goes_on_to_its_last_page_and_leaves_the_folder_out(
    server: Server, objects: Objects
) -> None:
    names = [f"a/{number}" for number in range(5)]
    server.stored = {f"k3s/{name}": b"12" for name in [*names, "b/1"]} | {"a/9": b""}
    listed = list(objects.list("a/"))
    assert [entry.key for entry in listed] == names
    assert listed[0][1:] == (2, NOON - 1.5, "e")
    assert objects.now == NOON, "its clock is the server's"


@pytest.mark.parametrize(
    "page",
    [
        "<Error><Code>InternalError</Code></Error>",
        # The first one again, and one without objects that leads to itself.
        "<ListBucketResult><Name>images</Name><Prefix>k3s/a/</Prefix><KeyCount>1</KeyCount>"
        "<Contents><Key>k3s/a/0</Key><LastModified>2025-11-26T11:59:58Z</LastModified><ETag>e"
        "</ETag><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
        "<ListBucketResult><Name>images</Name><Prefix>k3s/a/</Prefix><KeyCount>0</KeyCount>"
        "<IsTruncated>true</IsTruncated><NextContinuationToken>2</NextContinuationToken>"
        "</ListBucketResult>",
    ],
)
def test_a_page_that_does_not_continue_the_one_before_is_an_error(
    server: Server, objects: Objects, page: str
) -> None:
    server.stored = {f"k3s/a/{number}": b"1" for number in range(5)}
    listing = objects.list("a/")
    assert [next(listing).key for _ in range(PAGE)] == ["a/0", "a/1"]
    server.failures = [page]
    with pytest.raises(StorageError, match=r"the list of http://127\.0\.0\.1:\d+/images/k3s/a/: "):
        list(listing)


def test_a_page_without_objects_may_be_followed_by_others(server: Server, objects: Objects) -> None:
    """A server that hides deleted objects may send one."""
    server.stored = {f"k3s/a/{number}": b"1" for number in range(5)}
    server.failures = [
        "<ListBucketResult><Name>images</Name><Prefix>k3s/a/</Prefix><KeyCount>0</KeyCount>"
        "<IsTruncated>true</IsTruncated><NextContinuationToken>3</NextContinuationToken>"
        "</ListBucketResult>"
    ]
    assert [entry.key for entry in objects.list("a/")] == ["a/3", "a/4"]


def test_a_404_that_is_not_the_storages_own_does_not_say_that_an_object_is_gone(
    server: Server, objects: Objects
) -> None:
    server.stored = {"k3s/a": b"content"}
    server.failures = ["404"]
    with pytest.raises(StorageError, match="404 page not found"):
        objects.get("a")
    server.failures = ["404"]
    with pytest.raises(StorageError, match="404"):
        objects.sha256("a")


@pytest.mark.parametrize("header", ["Last-Modified", "ETag"])
def test_an_object_of_which_a_header_is_missing_is_an_error(
    server: Server, objects: Objects, header: str
) -> None:
    server.stored = {"k3s/a": b"content"}
    del server.headers[header]
    with pytest.raises(StorageError, match="HEAD a: a header is missing"):
        objects.head("a")


@pytest.mark.parametrize("header", ["Date", "Last-Modified"])
def test_a_time_in_words_is_an_error(server: Server, objects: Objects, header: str) -> None:
    server.stored = {"k3s/a": b"content"}
    server.headers[header] = "yesterday"
    with pytest.raises(StorageError, match="a time that is none: 'yesterday'"):
        objects.head("a")


@pytest.mark.parametrize("failure", ["429", "500", "503", "hang up", "cut"])
def test_a_request_that_a_busy_server_fails_is_sent_again(
    server: Server, objects: Objects, failure: str
) -> None:
    server.stored = {"k3s/a": b"content"}
    server.failures = [failure, failure]
    assert objects.get("a") == b"content"


@pytest.mark.parametrize("failure", ["503", "hang up", "cut"])
def test_a_server_that_never_responds_is_an_error(
    server: Server, objects: Objects, failure: str
) -> None:
    server.failures = [failure] * 3
    with pytest.raises(StorageError, match=r"GET http://127\.0\.0\.1"):
        objects.get("a")
    assert len(server.requests) == 3


def test_a_refusal_is_an_error_at_once(server: Server, objects: Objects) -> None:
    server.failures = ["403"]
    with pytest.raises(StorageError, match="403"):
        objects.put("a", b"")
    assert len(server.requests) == 1


@pytest.mark.parametrize("header", ["", '<?xml version="1.0" encoding="UTF-8"?>\n'])
def test_a_copy_that_fails_after_its_status_was_sent_is_an_error(
    server: Server, objects: Objects, header: str
) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html"""
    server.stored = {"k3s/a": b"content"}
    server.failures = [f"{header}<Error><Code>InternalError</Code></Error>"]
    with pytest.raises(StorageError, match="InternalError"):
        objects.copy("a", "b", 7)


def test_a_large_object_is_copied_in_parts(
    server: Server, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.shared.objects.PART_BYTES", 3)
    server.stored = {"k3s/a": b"content"}
    objects.copy("a", "b", 7)
    ranges = [re.sub(".*=", "", request) for request in server.requests[1:-1]]
    assert ranges == ["0-2", "3-5", "6-6"]
    assert server.stored["k3s/b"].count(b"<PartNumber>") == 3


def test_an_upload_without_an_id_is_not_gone_on_with(
    server: Server, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part for no upload is an object of its own to some servers: the target, cut short."""
    monkeypatch.setattr("scripts.shared.objects.PART_BYTES", 3)
    server.failures = ["<R></R>"]
    with pytest.raises(StorageError, match="expected an element UploadId"):
        objects.copy("a", "b", 7)
    assert len(server.requests) == 1


def test_a_small_object_is_copied_at_once(server: Server, objects: Objects) -> None:
    server.stored = {"k3s/a": b"content"}
    objects.copy("a", "b", 7)
    assert server.stored["k3s/b"] == b"content"
    assert len(server.requests) == 1


def test_parts_are_read_and_written(server: Server, objects: Objects) -> None:
    server.stored = {"k3s/a": b"content"}
    objects.put_parts("b", (objects.get_part("a", start, 3) for start in (0, 3)))
    assert server.parts == [b"con", b"ten"]
    etags = [f'<PartNumber>{x}</PartNumber><ETag>"e"</ETag>'.encode() for x in (1, 2)]
    assert all(etag in server.stored["k3s/b"] for etag in etags)


def test_a_server_that_sends_more_than_was_asked_for_is_an_error(
    server: Server, objects: Objects
) -> None:
    server.failures = ["all of it"]
    with pytest.raises(StorageError, match="200 all of it"):
        objects.get_part("a", 0, 3)


def test_an_object_whose_parts_are_not_all_there_is_not_written(
    server: Server, objects: Objects
) -> None:
    def parts() -> Iterator[bytes]:
        yield b"con"
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        objects.put_parts("b", parts())
    assert [x.partition(" ")[0] for x in server.requests] == ["POST", "PUT", "DELETE"]
    assert not server.stored


def test_what_is_not_there_is_told_from_an_error(server: Server, objects: Objects) -> None:
    assert objects.get("a") is None
    assert objects.head("a") is None
    assert objects.sha256("a") is None
    objects.delete("a")
    assert objects.put("a", b"content") == "e"
    assert objects.head("a") == ("a", 7, NOON, "e")
    assert objects.get("a") == b"content"
    objects.delete("a")
    assert not server.stored


def test_the_content_is_hashed_without_being_kept(server: Server, objects: Objects) -> None:
    server.stored["k3s/a"] = b"abc"
    assert objects.sha256("a") == (
        # https://csrc.nist.gov/CSRC/media/Projects/Cryptographic-Standards-and-Guidelines/documents/examples/SHA256.pdf
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_each_item_has_its_result_in_order_however_many_there_are(
    objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.shared.objects.BATCH", 3)
    for count in (0, 3, 7):
        assert objects.each(str, iter(range(count))) == [str(x) for x in range(count)]
