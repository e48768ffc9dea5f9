"""The stand-in for DigitalOcean's API: Spaces keys, DNS records, droplets, and nothing else.

The keys created here have the access to the sandbox's Spaces that their grants say. Besides
DigitalOcean's protocol (https://docs.digitalocean.com/reference/api/reference/spaces-keys/), tests
inject faults by ``POST /_control`` with ``{"faults": [{"status": 429, "times": 2, "retry_after":
1}, {"delay": 2}], "block": false, "key_delay": 20, "space_delay": 20, "boot": 60}``: the next calls
fail or wait in that order, the names of deleted Spaces are free again, new keys and Spaces are
unknown for 20 s, or until ``{"known": true}``, and droplets are active after a minute. ``GET
/_control`` returns the current faults. Not covered: token scopes, rate limits, links between the
pages of a list, PATCH, and the wording of most errors.
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

from sandbox.cloud.delays import Delays
from sandbox.cloud.domains import Domains
from sandbox.cloud.droplets import Droplets, sizes
from sandbox.cloud.errors import ApiError, NotFoundError
from sandbox.cloud.key import Body
from sandbox.cloud.keys import Keys
from sandbox.cloud.pages import page

if TYPE_CHECKING:
    from botocore.client import BaseClient

_IDS: dict[int, str] = {HTTPStatus.INTERNAL_SERVER_ERROR: "server_error"}
"""Error names that differ from the phrase of their status."""


class Server(ThreadingHTTPServer):
    """The API's HTTP server.

    Args:
        address: Host and port to listen on.
        token: The only token that is accepted.
        keys: The account's storage keys.
        domains: The account's domains.
        delays: How long new keys and Spaces are unknown.
        droplets: The account's droplets, SSH keys and tags.
    """

    daemon_threads = True

    def __init__(
        self,
        address: tuple[str, int],
        token: str,
        keys: Keys,
        domains: Domains,
        delays: Delays,
        droplets: Droplets,
    ) -> None:
        super().__init__(address, _Handler)
        self.token = token
        self.keys = keys
        self.domains = domains
        self.droplets = droplets
        self._delays = delays
        self._faults: list[Body] = []

    def control(self, body: Body) -> Body:
        """Set the faults that the body contains, and return all."""
        with self.keys.lock:
            self._faults = body.get("faults", self._faults)
            if "block" in body:
                self.keys.blocking = body["block"]
            self._delays.key_seconds = body.get("key_delay", self._delays.key_seconds)
            self._delays.space_seconds = body.get("space_delay", self._delays.space_seconds)
            self.droplets.boot_seconds = body.get("boot", self.droplets.boot_seconds)
            if body.get("known"):
                self._delays.end()
            return {
                "faults": self._faults,
                "block": self.keys.blocking,
                "blocked": self.keys.blocked,
                "key_delay": self._delays.key_seconds,
                "space_delay": self._delays.space_seconds,
                "boot": self.droplets.boot_seconds,
            }

    def inject_fault(self) -> None:
        """Wait or fail as the next fault says, if one is set.

        Raises:
            ApiError: The fault has a status.
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
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            try:
                body = json.loads(content or b"{}")
            except ValueError:
                raise ApiError(HTTPStatus.BAD_REQUEST, "invalid JSON") from None
            self._respond(*self._route(body))
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
        self.server.inject_fault()
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            raise ApiError(HTTPStatus.UNAUTHORIZED, "Unable to authenticate you")
        with self.server.keys.lock:
            parts = [self.command, *url.path.strip("/").split("/")]
            return self._of_keys_and_domains(parts, body) or self._of_droplets(parts, body)

    def _of_keys_and_domains(self, parts: list[str], body: Body) -> tuple[int, Body | None] | None:
        keys, domains = self.server.keys, self.server.domains
        match parts:
            case ["GET", "v2", "spaces", "keys"]:
                return HTTPStatus.OK, keys.list(self._query)
            case ["POST", "v2", "spaces", "keys"]:
                return HTTPStatus.CREATED, keys.create(body)
            case ["GET", "v2", "spaces", "keys", access_key]:
                return HTTPStatus.OK, keys.read(access_key)
            case ["PUT", "v2", "spaces", "keys", access_key]:
                return HTTPStatus.OK, keys.update(access_key, body)
            case ["DELETE", "v2", "spaces", "keys", access_key]:
                keys.delete(access_key)
                return HTTPStatus.NO_CONTENT, None
            case ["GET", "v2", "domains", domain]:
                return HTTPStatus.OK, domains.read(domain)
            case ["GET", "v2", "domains", domain, "records"]:
                return HTTPStatus.OK, domains.records(domain)
            case ["POST", "v2", "domains", domain, "records"]:
                return HTTPStatus.CREATED, domains.create(domain, body)
            case ["GET", "v2", "domains", domain, "records", record]:
                return HTTPStatus.OK, domains.read_record(domain, record)
            case ["PUT", "v2", "domains", domain, "records", record]:
                return HTTPStatus.OK, domains.update(domain, record, body)
            case ["DELETE", "v2", "domains", domain, "records", record]:
                domains.delete(domain, record)
                return HTTPStatus.NO_CONTENT, None
        return None

    def _of_droplets(self, parts: list[str], body: Body) -> tuple[int, Body | None]:
        droplets = self.server.droplets
        match parts:
            case ["GET", "v2", "sizes"]:
                return HTTPStatus.OK, page("sizes", sizes(), self._query)
            case ["GET", "v2", "droplets"]:
                return HTTPStatus.OK, droplets.list(self._query)
            case ["POST", "v2", "droplets"]:
                return HTTPStatus.ACCEPTED, droplets.create(body)
            case ["GET", "v2", "droplets", droplet]:
                return HTTPStatus.OK, droplets.read(droplet)
            case ["DELETE", "v2", "droplets", droplet]:
                droplets.delete(droplet)
            case ["GET", "v2", "account", "keys"]:
                return HTTPStatus.OK, droplets.keys(self._query)
            case ["POST", "v2", "account", "keys"]:
                return HTTPStatus.CREATED, droplets.create_key(body)
            case ["DELETE", "v2", "account", "keys", key]:
                droplets.delete_key(key)
            case ["GET", "v2", "tags"]:
                return HTTPStatus.OK, droplets.tags(self._query)
            case ["DELETE", "v2", "tags", tag]:
                droplets.delete_tag(tag)
            case _:
                raise NotFoundError
        return HTTPStatus.NO_CONTENT, None

    @property
    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query))

    def _fail(self, status: int, message: str, headers: Mapping[str, str]) -> None:
        name = _IDS.get(status, HTTPStatus(status).phrase.lower().replace(" ", "_"))
        body = {"id": name, "message": message, "request_id": str(uuid.uuid4())}
        self._respond(status, body, headers)

    def _respond(
        self, status: int, body: Body | None, headers: Mapping[str, str] | None = None
    ) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        # A 204 has neither a body nor the length of one (RFC 9110, section 8.6).
        if body is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _iam(endpoint: str) -> BaseClient:
    import boto3
    from botocore.config import Config

    return boto3.client(
        "iam",
        endpoint_url=endpoint,
        aws_access_key_id=os.environ["ROOT_ACCESS_KEY"],
        aws_secret_access_key=os.environ["ROOT_SECRET_KEY"],
        region_name="us-east-1",  # IAM has no other
        config=Config(proxies={}),
    )


def main() -> None:
    """Serve forever."""
    parser = argparse.ArgumentParser(
        description="Stand-in for DigitalOcean's API: Spaces keys, DNS records and droplets only, "
        "without token scopes and rate limits. Environment: DIGITALOCEAN_TOKEN, the accepted "
        "token, and the IAM server's ROOT_ACCESS_KEY and ROOT_SECRET_KEY."
    )
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="address to listen on")
    parser.add_argument("--iam", required=True, metavar="URL", help="the IAM server")
    parser.add_argument("--spaces", required=True, type=Path, help="the S3 server's data folder")
    parser.add_argument("--state", required=True, type=Path, help="the file that stores the keys")
    parser.add_argument("--domain", required=True, help="the account's only domain")
    parser.add_argument("--droplet", required=True, help="the address of every droplet")
    args = parser.parse_args()
    iam = _iam(args.iam)
    delays = Delays(iam, args.spaces)
    keys = Keys(args.state, iam, delays)
    host, port = args.listen.rsplit(":", 1)
    domains = Domains(args.state.with_name("domains.json"), [args.domain])
    droplets = Droplets(args.state.with_name("droplets.json"), args.droplet)
    token = os.environ["DIGITALOCEAN_TOKEN"]
    server = Server((host, int(port)), token, keys, domains, delays, droplets)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # In the main thread: without the IAM server this process ends, and the supervisor restarts it.
    keys.watch()


if __name__ == "__main__":
    main()
