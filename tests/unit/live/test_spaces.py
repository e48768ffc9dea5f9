"""A Space is deleted with all that is in it, and no other one is."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from live.names import Run
from live.spaces import Spaces, SpacesError
from scripts.shared.s3 import Bucket, Key
from tests.unit.live.world import World
from tests.unit.servers import Request, Result, Serve

RUN = Run("k3s-registry-live-0123456789")
SPACE = f"{RUN.name}-abcdefgh"
LIST = f"<ListAllMyBucketsResult><Bucket><Name>{SPACE}</Name></Bucket></ListAllMyBucketsResult>"


def spaces(endpoint: str, slept: list[float] | None = None) -> Spaces:
    account = Bucket(endpoint, "nyc3", name="", path_style=True, key=Key("key", "secret"))
    return Spaces(account, RUN, (slept if slept is not None else []).append)


def test_a_space_of_somebody_else_is_neither_listed_nor_deleted(world: World) -> None:
    before = {name: list(keys) for name, keys in world.spaces.items()}
    found = spaces(world.access.spaces_endpoint)
    assert found.names() == []
    for name in before:
        with pytest.raises(SpacesError, match=f"the Space {name} is not of {RUN.name}"):
            found.delete(name)
    assert world.spaces == before


def test_a_new_key_is_waited_for(serve: Serve) -> None:
    answers = [403, 403, 200]

    def handle(_: Request) -> Result:
        return answers.pop(0), {}, LIST

    slept: list[float] = []
    assert spaces(serve(handle), slept).names() == [SPACE]
    assert slept == [2, 2]


def test_what_spaces_refuses_is_an_error_and_not_an_empty_account(serve: Serve) -> None:
    with pytest.raises(SpacesError, match="the list of Spaces: 500 broken"):
        spaces(serve(lambda _: (500, {}, "broken"))).names()
    with pytest.raises(SpacesError, match="does not respond"):
        spaces("http://127.0.0.1:9").names()


def test_uploads_that_never_ended_are_aborted(serve: Serve) -> None:
    """A bucket with parts of uploads is not empty, though it lists no object."""
    requests: list[str] = []
    upload = "<Upload><Key>a/b c</Key><UploadId>id-1</UploadId></Upload>"

    def handle(request: Request) -> Result:
        requests.append(f"{request.command} {request.path}")
        if request.path.partition("?")[0] == "/":
            gone = f"DELETE /{SPACE}" in requests
            return 200, {}, "<ListAllMyBucketsResult/>" if gone else LIST
        if "uploads" in request.path:
            return 200, {}, f"<ListMultipartUploadsResult>{upload}</ListMultipartUploadsResult>"
        if request.command == "GET":
            head = f"<Name>{SPACE}</Name><Prefix/><KeyCount>0</KeyCount>"
            return (
                200,
                {},
                f"<ListBucketResult>{head}<IsTruncated>false</IsTruncated></ListBucketResult>",
            )
        return 204, {}, ""

    spaces(serve(handle)).delete(SPACE)
    aborted = requests.index(f"DELETE /{SPACE}/a/b%20c?uploadId=id-1")
    assert aborted < requests.index(f"DELETE /{SPACE}")


def test_a_connection_that_breaks_is_tried_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, broken = Bucket.request, [http.client.RemoteDisconnected("closed"), OSError()]

    def breaking(*args: Any) -> Any:
        if broken:
            raise broken.pop()
        return request(*args)

    monkeypatch.setattr(Bucket, "request", breaking)
    assert spaces(serve(lambda _: (200, {}, LIST))).names() == [SPACE]
