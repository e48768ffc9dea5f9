"""One kubectl for many requests, and what happens where it does not work."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from preflight import proxy
from preflight.cluster import Cluster

KUBECTL = """#!{python}
import http.server, json, os, socketserver, sys
log = open({log!r}, "a")
print(json.dumps([*sys.argv[1:], sys.stdin.read(), os.getpid()]), file=log, flush=True)
if sys.argv[1] == "get":
    print("by kubectl itself")
    sys.exit()
{before}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def address_string(self):
        return ""
    def do_GET(self):
        # As the real one does.
        known = self.headers["Host"] == "localhost"
        status, body = {responses!r}[self.path] if known else (403, "")
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())
address = sys.argv[2].removeprefix("--unix-socket=")
assert os.stat(os.path.dirname(address)).st_mode & 0o777 == 0o700
with socketserver.UnixStreamServer(address, Handler) as server:
    print("Starting to serve on", address, flush=True)
    server.serve_forever()
"""


class Kubectl:
    """A kubectl on PATH whose proxy responds as a test says."""

    def __init__(self, folder: Path) -> None:
        self._program, self._log = folder / "kubectl", folder / "log"
        self._log.touch()

    def responds(self, responses: Mapping[str, tuple[int, str]], before: str = "") -> None:
        self._program.write_text(
            KUBECTL.format(
                python=sys.executable, log=str(self._log), responses=responses, before=before
            )
        )
        self._program.chmod(0o755)

    def calls(self) -> list[list[Any]]:
        """Return of each call the arguments, the standard input, and the process's ID."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Kubectl(tmp_path)


def test_one_kubectl_takes_all_requests(kubectl: Kubectl) -> None:
    kubectl.responds({"/a": (200, "eins"), "/b?c=d": (200, "zwölf")})
    assert proxy.fetch(["/a", "/b?c=d"], ["--context=x"], "kind: Config") == {
        "/a": "eins",
        "/b?c=d": "zwölf",
    }
    (call,) = kubectl.calls()
    command, address, methods, context, stdin, process = call
    assert (command, methods, context) == ("proxy", "--reject-methods=^[^G]", "--context=x")
    assert stdin == "kind: Config"
    assert not Path(address.removeprefix("--unix-socket=")).parent.exists()
    assert not Path(f"/proc/{process}").exists()


def test_what_it_has_no_response_for_is_asked_by_kubectl_itself(kubectl: Kubectl) -> None:
    kubectl.responds({"/a": (200, ""), "/b": (404, "none"), "/c": (403, "no"), "/d": (200, "d")})
    cluster = Cluster("kind: Config", ("--context=x",))
    cluster.ask(iter(["/a", "/b", "/c", "/d"]))
    bodies = {path: cluster._raw(path) for path in ("/a", "/b", "/c", "/d")}
    itself = "by kubectl itself\n"
    assert bodies == {"/a": "", "/b": itself, "/c": itself, "/d": "d"}
    arguments = ["--context=x", "--kubeconfig=/dev/stdin", "kind: Config"]
    proxied, *others = [call[:-1] for call in kubectl.calls()]
    assert proxied[3:] == arguments
    assert sorted(others) == [["get", f"--raw={path}", *arguments] for path in ("/b", "/c")]


@pytest.mark.parametrize(
    "before", ["sys.exit(1)", "import time; time.sleep(60)", "print(); sys.exit()"]
)
def test_a_proxy_that_does_not_start_has_no_response(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    monkeypatch.setattr(proxy, "SECONDS", 0.5)
    kubectl.responds({"/a": (200, "x")}, before)
    assert proxy.fetch(["/a"], [], "") == {}


def test_what_is_no_response_is_none(kubectl: Kubectl, capfd: pytest.CaptureFixture[str]) -> None:
    rubbish = """print("an error", file=sys.stderr)
http.server.BaseHTTPRequestHandler.send_response = lambda self, _: self.wfile.write(b"rubbish\\n")
"""
    kubectl.responds({"/a": (200, "x")}, rubbish)
    assert proxy.fetch(["/a"], [], "") == {}
    assert capfd.readouterr().err == "", "kubectl itself will say it"


def test_a_response_that_does_not_come_is_not_waited_for(
    kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert proxy.SECONDS == 3
    monkeypatch.setattr(proxy, "SECONDS", 0.5)
    hang = "import socket, time\nsocket.socket.makefile = lambda *_, **__: time.sleep(60)"
    kubectl.responds({"/a": (200, "x")}, hang)
    assert proxy.fetch(["/a"], [], "") == {}


def test_without_kubectl_there_is_no_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert proxy.fetch(["/a"], [], "") == {}
