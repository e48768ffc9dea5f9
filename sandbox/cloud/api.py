"""The stand-in for DigitalOcean's API: ``/v2/spaces/keys`` and nothing else.

Keys made here really open, or do not open, the sandbox's Spaces. Beyond DigitalOcean's protocol,
https://docs.digitalocean.com/reference/api/reference/spaces-keys/, tests make it misbehave by
``POST /_control`` with ``{"faults": [{"status": 429, "times": 2, "retry_after": 1}, {"delay": 2}],
"block": false}``: the next calls fail or wait in that order, and names of deleted Spaces are free
again; ``GET /_control`` shows what is set. Not covered: token scopes, rate limits, links between
the pages of a list, PATCH, delays until a new key works, and the wording of most errors.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from sandbox.cloud.keys import ApiError, Body, Keys, NotFoundError

if TYPE_CHECKING:
    from botocore.client import BaseClient

_IDS: dict[int, str] = {HTTPStatus.INTERNAL_SERVER_ERROR: "server_error"}
"""Names of errors that are not simply those of their status."""


class Server(ThreadingHTTPServer):
    """The API's HTTP server.

    Args:
        address: Where to listen: host and port.
        token: The one token that may call it.
        keys: The account's storage keys.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], token: str, keys: Keys) -> None:
        super().__init__(address, _Handler)
        self.token = token
        self.keys = keys
        self._faults: list[Body] = []

    def control(self, body: Body) -> Body:
        """Set what the body has of faults and blocking, and show both."""
        with self.keys.lock:
            self._faults = body.get("faults", self._faults)
            if "block" in body:
                self.keys.blocking = body["block"]
            return {
                "faults": self._faults,
                "block": self.keys.blocking,
                "blocked": self.keys.blocked,
            }

    def misbehave(self) -> None:
        """Commit the next fault, if one is set.

        Raises:
            ApiError: The fault is a refusal.
        """
        with self.keys.lock:
            if not self._faults:
                return
            fault = self._faults[0]
            fault["times"] = fault.get("times", 1) - 1
            if fault["times"] <= 0:
                self._faults.pop(0)
        time.sleep(fault.get("delay", 0))
        if "status" in fault:
            wait = fault.get("retry_after")
            headers = {} if wait is None else {"Retry-After": str(wait)}
            raise ApiError(fault["status"], "injected", headers)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        received = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            try:
                body = json.loads(received or b"{}")
            except ValueError:
                raise ApiError(HTTPStatus.BAD_REQUEST, "invalid JSON") from None
            self._answer(*self._route(body))
        except ApiError as error:
            self._fail(error.status, error.message, error.headers)
        except Exception:
            self._fail(HTTPStatus.INTERNAL_SERVER_ERROR, "Unexpected server-side error", {})
            # The server's error handler logs it.
            raise

    def _route(self, body: Body) -> tuple[int, Body | None]:
        url = urlsplit(self.path)
        if url.path == "/_control":
            return HTTPStatus.OK, self.server.control(body if self.command == "POST" else {})
        self.server.misbehave()
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Unable to authenticate you")
        keys = self.server.keys
        with keys.lock:
            match [self.command, *url.path.strip("/").split("/")]:
                case ["GET", "v2", "spaces", "keys"]:
                    return HTTPStatus.OK, keys.list(dict(parse_qsl(url.query)))
                case ["POST", "v2", "spaces", "keys"]:
                    return HTTPStatus.CREATED, keys.create(body)
                case ["GET", "v2", "spaces", "keys", access_key]:
                    return HTTPStatus.OK, keys.read(access_key)
                case ["PUT", "v2", "spaces", "keys", access_key]:
                    return HTTPStatus.OK, keys.update(access_key, body)
                case ["DELETE", "v2", "spaces", "keys", access_key]:
                    keys.delete(access_key)
                    return HTTPStatus.NO_CONTENT, None
        raise NotFoundError

    def _fail(self, status: int, message: str, headers: Mapping[str, str]) -> None:
        name = _IDS.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
        body = {"id": name, "message": message, "request_id": str(uuid.uuid4())}
        self._answer(status, body, headers)

    def _answer(
        self, status: int, body: Body | None, headers: Mapping[str, str] | None = None
    ) -> None:
        sent = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        # A 204 has neither a body nor the length of one (RFC 9110, section 8.6).
        if body is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)


def spaces_in(folder: Path) -> set[str]:
    """List the Spaces that the S3 server keeps in a folder, each as a folder of its own."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def _iam(endpoint: str) -> BaseClient:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "iam",
        endpoint_url=endpoint,
        aws_access_key_id=os.environ["ROOT_ACCESS_KEY"],
        aws_secret_access_key=os.environ["ROOT_SECRET_KEY"],
        region_name="us-east-1",  # IAM's only one
        config=Config(proxies={}),
    )


def main() -> None:
    """Serve for ever."""
    parser = argparse.ArgumentParser(
        description="Stand-in for DigitalOcean's API: /v2/spaces/keys only, without token scopes, "
        "rate limits and delays. From the environment: DIGITALOCEAN_TOKEN, which may call it, and "
        "ROOT_ACCESS_KEY with ROOT_SECRET_KEY, which open the IAM server."
    )
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where to serve")
    parser.add_argument("--iam", required=True, metavar="URL", help="the IAM server")
    parser.add_argument("--spaces", required=True, type=Path, help="the S3 server's data folder")
    parser.add_argument("--state", required=True, type=Path, help="the file that keeps the keys")
    given = parser.parse_args()
    keys = Keys(given.state, _iam(given.iam), lambda: spaces_in(given.spaces))
    host, port = given.listen.rsplit(":", 1)
    server = Server((host, int(port)), os.environ["DIGITALOCEAN_TOKEN"], keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # In the main thread: should the IAM server be gone, so is this process, to be started anew.
    keys.watch()


if __name__ == "__main__":
    main()
