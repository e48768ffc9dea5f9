"""What configure_node.py does to a node: its file, its k3s, and the lock."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import configure_node
from scripts.configure_node import ConfigureError, Lease, merge
from tests.unit.program.test_render_nodes import LEAST, WHOLE


class Leases(BaseHTTPRequestHandler):
    """The API server's Leases, as far as the lock goes."""

    held: dict[str, Any]
    failures: list[int]

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        lease = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Authorization"] == "Bearer token"
        if self.failures:
            self.answer(self.failures.pop(), {})
        elif self.held:
            self.answer(409, {})
        else:
            self.held.update(lease)
            self.answer(201, lease)

    def do_GET(self) -> None:
        self.answer(200 if self.held else 404, self.held)

    def do_DELETE(self) -> None:
        self.held.clear()
        self.answer(200, {})

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    Leases.held, Leases.failures = {}, []
    monkeypatch.setattr(configure_node, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(configure_node, "RESTART_SECONDS", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Leases) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def lease(server: ThreadingHTTPServer, holder: str = "node-a") -> Lease:
    return Lease(f"http://127.0.0.1:{server.server_port}/leases", "lock", "token", None, holder)


class Systemctl:
    """A node's systemctl; remembers what it was asked."""

    def __init__(self, unit: str) -> None:
        self.unit, self.asked, self.fails = unit, list[str](), False

    def __call__(self, _node: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        command, unit = arguments
        self.asked.append(f"{command} {unit}")
        failed = unit != self.unit or (command == "restart" and self.fails)
        return subprocess.CompletedProcess([], int(failed), "", "a start job failed")


@pytest.fixture
def systemctl(monkeypatch: pytest.MonkeyPatch) -> Systemctl:
    found = Systemctl("k3s")
    monkeypatch.setattr(configure_node, "systemctl", found)
    return found


def run(node: Path, lock: Lease, ours: str = LEAST, *, only_mirrors: bool = False) -> str:
    return configure_node.enrol(node, ours, only_mirrors=only_mirrors, lease=lock)


def registries(node: Path) -> Path:
    return node / "etc" / "rancher" / "k3s" / "registries.yaml"


def test_a_new_node_gets_the_file_for_root_only_and_k3s_is_restarted(
    tmp_path: Path, server: ThreadingHTTPServer, systemctl: Systemctl
) -> None:
    assert run(tmp_path, lease(server)) == "wrote etc/rancher/k3s/registries.yaml and restarted k3s"
    assert yaml.safe_load(registries(tmp_path).read_text()) == yaml.safe_load(LEAST)
    assert registries(tmp_path).stat().st_mode & 0o777 == 0o600
    assert systemctl.asked == ["cat k3s", "restart k3s"]
    assert not Leases.held, "or the next node would wait for ever"


def test_an_agents_unit_is_restarted_on_an_agent(
    tmp_path: Path, server: ThreadingHTTPServer, systemctl: Systemctl
) -> None:
    systemctl.unit = "k3s-agent"
    run(tmp_path, lease(server))
    assert systemctl.asked[-1] == "restart k3s-agent"


def test_a_node_that_is_set_up_is_left_alone(
    tmp_path: Path, server: ThreadingHTTPServer, systemctl: Systemctl
) -> None:
    run(tmp_path, lease(server))
    systemctl.asked.clear()
    assert run(tmp_path, lease(server)) == "this node is set up already"
    assert not systemctl.asked


def test_a_new_password_is_news(
    tmp_path: Path, server: ThreadingHTTPServer, systemctl: Systemctl
) -> None:
    run(tmp_path, lease(server))
    run(tmp_path, lease(server), LEAST.replace("Passw0rd", "Another0ne"))
    assert systemctl.asked.count("restart k3s") == 2
    assert "Another0ne" in registries(tmp_path).read_text()


def test_a_restart_that_failed_keeps_the_lock_and_is_tried_again(
    tmp_path: Path, server: ThreadingHTTPServer, systemctl: Systemctl
) -> None:
    systemctl.fails = True
    with pytest.raises(ConfigureError, match="systemctl restart k3s: a start job failed"):
        run(tmp_path, lease(server))
    assert Leases.held["spec"]["holderIdentity"] == "node-a", "no other node may follow"
    systemctl.fails = False
    assert "restarted k3s" in run(tmp_path, lease(server)), "k3s may not know the file yet"
    assert not Leases.held


@pytest.mark.usefixtures("systemctl")
def test_a_lease_that_could_not_be_given_back_is_given_back_later(
    tmp_path: Path, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Lease) -> None:
        raise ConfigureError("the API server is away")

    with monkeypatch.context() as away, pytest.raises(ConfigureError):
        away.setattr(Lease, "release", fail)
        run(tmp_path, lease(server))
    run(tmp_path, lease(server))
    assert not Leases.held, "all other nodes wait for it"


def test_the_override_is_told_to_k3s_and_taken_back(
    tmp_path: Path, server: ThreadingHTTPServer, systemctl: Systemctl
) -> None:
    flag = registries(tmp_path).parent / "config.yaml.d" / "registry.yaml"
    run(tmp_path, lease(server), WHOLE, only_mirrors=True)
    assert yaml.safe_load(flag.read_text()) == {"disable-default-registry-endpoint": True}
    run(tmp_path, lease(server), LEAST)
    assert not flag.exists()
    assert systemctl.asked.count("restart k3s") == 2
    assert "docker.io" not in registries(tmp_path).read_text(), "what led only to us was ours"


def test_a_node_without_k3s_is_told(
    tmp_path: Path, server: ThreadingHTTPServer, systemctl: Systemctl
) -> None:
    systemctl.unit = "docker"
    with pytest.raises(ConfigureError, match="none of the systemd units k3s, k3s-agent"):
        run(tmp_path, lease(server))


def test_one_node_waits_for_the_other_and_says_for_whom(
    server: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = lease(server, "node-a"), lease(server, "node-b")
    first.take()
    waiting = threading.Thread(target=second.take)
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive(), "two servers down at once may be one too many"
    first.release()
    waiting.join(5)
    assert Leases.held["spec"]["holderIdentity"] == "node-b"
    assert capsys.readouterr().out == (
        "waiting for node-a; if it is gone for good, delete the Lease lock\n"
    )


def test_a_node_whose_pod_was_restarted_still_holds_the_lock(server: ThreadingHTTPServer) -> None:
    lease(server).take()
    lease(server).take()
    assert Leases.held


def test_an_api_server_that_restarts_is_waited_for(server: ThreadingHTTPServer) -> None:
    Leases.failures = [503, 500]
    lease(server).take()
    assert Leases.held


def test_an_api_server_that_refuses_is_told(server: ThreadingHTTPServer) -> None:
    Leases.failures = [403] * 1000
    with pytest.raises(ConfigureError, match=r"POST .*/leases: 403"):
        lease(server).take()


THEIRS = """\
# ours since 2023
mirrors:
  "*":
  quay.io:
    endpoint: [https://quay-mirror.example.net]
    rewrite: {"^a/(.*)$": "b/$1"}
  example.com:
    endpoint: [https://elsewhere.example.net]
    rewrite: {"^c/(.*)$": "d/$1"}
  old.example.com:
    endpoint: [https://registry.example.com]
configs:
  quay-mirror.example.net:
    auth: {username: yes, password: 0123}
  registry.example.com:
    auth: {username: admin, password: old}
    tls: {cert_file: /etc/ssl/node.pem, key_file: /etc/ssl/node.key}
"""


def test_what_others_wrote_stays() -> None:
    merged = yaml.load(merge(THEIRS, WHOLE), yaml.BaseLoader)  # noqa: S506 - makes texts only
    assert merged["mirrors"]["quay.io"] == {
        "endpoint": ["https://quay-mirror.example.net"],
        "rewrite": {"^a/(.*)$": "b/$1"},
    }
    assert merged["mirrors"]["*"] == ""
    theirs = merged["configs"]["quay-mirror.example.net"]["auth"]
    assert theirs == {"username": "yes", "password": "0123"}, "as a number it would be 83"


def test_what_is_ours_is_as_it_is_now() -> None:
    merged = yaml.safe_load(merge(THEIRS, WHOLE))
    assert merged["mirrors"]["example.com"]["endpoint"] == ["https://registry.example.com"]
    assert "old.example.com" not in merged["mirrors"], "a prefix that led here is no more"
    ours = merged["configs"]["registry.example.com"]
    assert ours["auth"] == {"username": "pull", "password": "Passw0rd"}
    assert ours["tls"] == {
        "cert_file": "/etc/ssl/node.pem",
        "key_file": "/etc/ssl/node.key",
        "ca_file": "/etc/ssl/private-ca.pem",
    }, "a client certificate is the node's own"


def test_merging_again_changes_nothing() -> None:
    once = merge(THEIRS, WHOLE)
    assert merge(once, WHOLE) == once, "or k3s would restart with every pod"


@pytest.mark.parametrize("theirs", ["", "# nothing yet\n", "mirrors:\nconfigs:\n", "{}"])
def test_an_empty_file_is_filled(theirs: str) -> None:
    assert yaml.safe_load(merge(theirs, WHOLE)) == yaml.safe_load(WHOLE)


@pytest.mark.parametrize("theirs", ["- a\n", "text\n", "a: [s3cr3t\nb: c\n", "a: 1\n---\nb: 2\n"])
def test_what_is_no_registries_yaml_is_refused_without_showing_it(theirs: str) -> None:
    with pytest.raises(ConfigureError, match=r"registries\.yaml of this node") as refused:
        merge(theirs, WHOLE)
    assert "s3cr3t" not in str(refused.value), "there may be a password in that line"
