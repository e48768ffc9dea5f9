"""Who may do what: the program's configuration in the real Caddy, against tables that say why.

`test_rights.py` compares it with the documentation for random requests; this is for people.
The port of the maintenance: `test_maintenance_port.py`.
"""

from __future__ import annotations

import base64
import http.client
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from components.network import PORT
from components.registry.side_servers import MANIFESTS_ADDRESS, REGISTRY_ADDRESS
from tests.soak.servers import START_SECONDS, free_port
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Engine

DIGEST = f"sha256:{0:064}"
UPLOAD = "00000000-0000-4000-8000-000000000000"

ROUTES = {
    "log in": ("GET", "/v2/"),
    "list repositories": ("GET", "/v2/_catalog"),
    "list tags": ("GET", "/v2/{}/tags/list"),
    "list signatures": ("GET", f"/v2/{{}}/referrers/{DIGEST}"),
    "pull a manifest": ("GET", "/v2/{}/manifests/v1"),
    "pull a layer": ("GET", f"/v2/{{}}/blobs/{DIGEST}"),
    "push a manifest": ("PUT", "/v2/{}/manifests/v1"),
    "delete a tag": ("DELETE", "/v2/{}/manifests/v1"),
    "delete a manifest": ("DELETE", f"/v2/{{}}/manifests/{DIGEST}"),
    "delete a layer": ("DELETE", f"/v2/{{}}/blobs/{DIGEST}"),
    "start an upload": ("POST", "/v2/{}/blobs/uploads/"),
    "send a chunk": ("PATCH", f"/v2/{{}}/blobs/uploads/{UPLOAD}"),
    "end an upload": ("PUT", f"/v2/{{}}/blobs/uploads/{UPLOAD}?digest={DIGEST}"),
    "ask how far an upload is": ("GET", f"/v2/{{}}/blobs/uploads/{UPLOAD}"),
    "cancel an upload": ("DELETE", f"/v2/{{}}/blobs/uploads/{UPLOAD}"),
}
"""https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints"""

NOTHING: set[str] = set()
LOGIN = {"log in"}
PULL = LOGIN | {"list tags", "list signatures", "pull a manifest", "pull a layer"}
PUSH = PULL | {
    *("push a manifest", "delete a tag", "delete a manifest"),
    *("start an upload", "send a chunk", "end an upload"),
    *("ask how far an upload is", "cancel an upload"),
}
ALL = {"list repositories"}
"""What it takes the right to all repositories for: the list names each of them."""

SETTINGS: dict[str, Any] = {
    **CONFIG,
    "rotation": 3,
    "users": {
        "ci": {"push": ["team-a/*"], "pull": ["*"]},
        "guest": {"pull": ["shared/base"]},
    },
}

TABLE = [
    ("nobody", "", "team-a/app", NOTHING, "the registry is private"),
    ("admin", "wrong", "team-a/app", NOTHING, "a name alone opens nothing"),
    ("admin", "credentials-admin-3", "team-a/app", PUSH | ALL, "the owner"),
    ("admin", "credentials-admin-2", "team-a/app", PUSH | ALL, "CI has time for a new password"),
    ("admin", "credentials-admin", "team-a/app", NOTHING, "who had it two rotations ago is out"),
    (
        *("pull", "credentials-pull-3", "team-a/app", PULL | ALL),
        "it is on every node: who takes it from one must not lose, replace or stop anything",
    ),
    ("ci", "credentials-user-ci-3", "team-a/app", PUSH | ALL, "to pull more takes no push away"),
    ("ci", "credentials-user-ci-3", "team-b/app", PULL | ALL, "one team's CI pushes for no other"),
    ("ci", "credentials-user-ci-3", "team-a", PULL | ALL, "team-a/* is what is in that folder"),
    ("guest", "credentials-user-guest-3", "shared/base", PULL, "as the setting says"),
    ("guest", "credentials-user-guest-3", "shared/base/x", LOGIN, "a name stands for itself alone"),
    ("guest", "credentials-user-guest-3", "team-a/app", LOGIN, "nor whether something is there"),
    (
        *("smoke_test", "credentials-smoke-test", "smoke-test", PUSH),
        "its Secret is in the cluster, so it opens one repository",
    ),
    ("smoke_test", "credentials-smoke-test", "team-a/app", LOGIN, "likewise"),
    (
        *("maintenance", "credentials-maintenance", "team-a/app", NOTHING),
        "it has a port of its own, which the ingress does not reach",
    ),
]
"""User, whose password, repository, what is allowed, and why."""

READ_ONLY_TABLE = [
    ("admin", "credentials-admin-3", "team-a/app", PULL | ALL, "nobody changes what is moved"),
    ("ci", "credentials-user-ci-3", "team-a/app", PULL | ALL, "likewise"),
    ("smoke_test", "credentials-smoke-test", "smoke-test", PUSH, "or `up` could not end"),
]


class Reached(ThreadingHTTPServer):
    """Stands for the registry, and notes what gets to it."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, str]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Reached

    def do_GET(self) -> None:
        self.server.got.append((self.command, self.path.partition("?")[0]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server calls them so

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def caddy(engine: Engine, tools: Path, folder: Path) -> Iterator[tuple[Reached, int]]:
    """Run Caddy with what the program puts into the cluster, on another port.

    Yields what stands for the registry, and the port.
    """
    text = engine.inputs("registry-auth-proxy")["stringData"]["caddy.json"]
    with Reached() as reached:
        threading.Thread(target=reached.serve_forever, args=(0.05,), daemon=True).start()
        for address in (REGISTRY_ADDRESS, MANIFESTS_ADDRESS):
            text = text.replace(address, f"127.0.0.1:{reached.server_port}")
        port = free_port(("127.0.0.1",))
        config = json.loads(text.replace(f":{PORT}", f":{port}"))
        server = config["apps"]["http"]["servers"]["registry"]
        server["listen"] = [f"127.0.0.1:{port}"]
        config["apps"]["http"]["servers"] = {"registry": server}
        path = folder / "caddy.json"
        path.write_text(json.dumps(config))
        with (folder / "caddy.log").open("wb") as log:
            process = subprocess.Popen(
                [str(tools / "caddy"), "run", "--config", str(path)],
                env={"HOME": str(folder)},
                stdout=log,
                stderr=log,
            )
        try:
            wait_for(port)
            yield reached, port
        finally:
            process.kill()
            process.wait()
            reached.shutdown()


def wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            ask(port, "", "", "GET", "/v2/")
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return


def ask(port: int, user: str, password: str, method: str, target: str) -> int:
    login = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {login}"} if user else {}
    body = b'{"schemaVersion": 2}' if method in {"PUT", "PATCH"} else None
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, target, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def password(engine: Engine, whose: str) -> str:
    """Return a generated password; any other text is itself."""
    known = engine.resources.get(whose)
    return str(known.state["result"]) if known else whose


def check(
    engine: Engine, tools: Path, folder: Path, table: list[tuple[str, str, str, set[str], str]]
) -> None:
    with caddy(engine, tools, folder) as (reached, port):
        for user, whose, repository, allowed, why in table:
            name = "" if user == "nobody" else user
            for what, (method, path) in ROUTES.items():
                reached.got.clear()
                target = path.format(repository)
                status = ask(port, name, password(engine, whose), method, target)
                row = f"{user} ({whose}), {what} in {repository}: {status}; {why}"
                got = [(method, target.partition("?")[0])] if what in allowed else []
                assert reached.got == got, row
                assert (status < 400) == (what in allowed), row


def test_each_user_may_do_what_the_table_says_and_nothing_else(tools: Path, tmp_path: Path) -> None:
    check(Run()(SETTINGS), tools, tmp_path, TABLE)


def test_while_it_is_read_only_nobody_changes_anything(tools: Path, tmp_path: Path) -> None:
    engine = Run()({**SETTINGS, "registry": {"readOnly": True}})
    check(engine, tools, tmp_path, READ_ONLY_TABLE)
