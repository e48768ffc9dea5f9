"""What the account and its Spaces respond."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable
from email.message import Message
from typing import Any

from sandbox.cloud.api import Server
from sandbox.cloud.errors import ApiError
from scripts.shared.response import Response
from tests.unit.sandbox.conftest import TOKEN
from tests.unit.servers import Request, Result


def sent(api: Server, method: str, path: str, body: bytes | None) -> Response:
    """Return what the stand-in responds, without a connection: there are thousands of requests."""
    kind: Any = api.RequestHandlerClass
    handler = kind.__new__(kind)
    handler.server, handler.command, handler.path = api, method, f"/{path}"
    handler.headers = Message()
    handler.headers["Authorization"] = f"Bearer {TOKEN}"
    try:
        status, content = handler._route(json.loads(body or b"{}"))
    except ApiError as error:
        status, content = error.status, {"message": error.message}
    return Response(status, Message(), json.dumps(content).encode() if content else b"")


def s3(spaces: dict[str, list[str]]) -> Callable[[Request], Result]:
    """Return what an S3 server does, as far as deleting needs it."""

    def handle(request: Request) -> Result:
        url = urllib.parse.urlsplit(request.path)
        name, _, key = url.path.removeprefix("/").partition("/")
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        if not name:
            listed = "".join(f"<Bucket><Name>{x}</Name></Bucket>" for x in spaces)
            return 200, {}, f"<ListAllMyBucketsResult>{listed}</ListAllMyBucketsResult>"
        if request.command == "DELETE":
            _delete(spaces, name, urllib.parse.unquote(key))
            return 204, {}, ""
        if "uploads" in query:
            return 200, {}, "<ListMultipartUploadsResult/>"
        prefix = query.get("prefix", [""])[0]
        keys = sorted(x for x in spaces[name] if x.startswith(prefix))
        rows = "".join(
            f"<Contents><Key>{key}</Key><Size>1</Size><ETag>e</ETag>"
            "<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
            for key in keys
        )
        head = f"<Name>{name}</Name><Prefix>{prefix}</Prefix><KeyCount>{len(keys)}</KeyCount>"
        body = f"{head}<IsTruncated>false</IsTruncated>{rows}"
        return 200, {}, f"<ListBucketResult>{body}</ListBucketResult>"

    return handle


def _delete(spaces: dict[str, list[str]], name: str, key: str) -> None:
    if key:
        spaces[name].remove(key)
    else:
        assert not spaces[name], "BucketNotEmpty"
        del spaces[name]
