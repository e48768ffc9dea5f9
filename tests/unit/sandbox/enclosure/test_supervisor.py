"""The supervisor's processes, without any namespace."""

from __future__ import annotations

import http.server
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sandbox import pki
from sandbox.enclosure.namespaces import Namespace
from sandbox.enclosure.process import Process
from sandbox.enclosure.supervisor import Plan

REPOSITORY = Path(__file__).parents[4]
RUN = "import sys; from pathlib import Path; "
RUN += "from sandbox.enclosure.supervisor import Plan, Supervisor; "
RUN += "Supervisor(Plan.read(Path(sys.argv[1]))).run()"


@pytest.fixture
def pki_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pki"
    pki.authority(folder)
    return folder


@contextmanager
def supervised(
    tmp_path: Path, pki_folder: Path, *processes: Process
) -> Iterator[subprocess.Popen[bytes]]:
    logs = tmp_path / "logs"
    logs.mkdir(exist_ok=True)
    plan = tmp_path / "plan.json"
    namespace, ca = Namespace("", [], "", "", {}), pki_folder / "ca.crt"
    Plan(namespace, list(processes), logs, ca, tmp_path / "restarts").write(plan)
    with subprocess.Popen([sys.executable, "-c", RUN, plan], cwd=REPOSITORY) as supervisor:
        try:
            yield supervisor
        finally:
            supervisor.kill()


def shell(name: str, script: str, **other: object) -> Process:
    return Process(name, ["/bin/sh", "-c", script], **other)  # type: ignore[arg-type] # Process' own


def eventually(condition: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


def text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def test_what_ends_is_started_again_with_growing_pauses(tmp_path: Path, pki_folder: Path) -> None:
    log = tmp_path / "logs" / "brief.log"
    with supervised(tmp_path, pki_folder, shell("brief", "date +%s.%N")):
        eventually(lambda: text(log).count("\n") >= 3, "it was not started three times")
    first, second, third = (float(x) for x in log.read_text().split()[:3])
    assert second - first >= 0.2
    assert third - second >= 0.4


def test_what_is_asked_for_is_started_again_and_nothing_else(
    tmp_path: Path, pki_folder: Path
) -> None:
    one, other = (tmp_path / "logs" / f"{name}.log" for name in ("one", "other"))
    script = "echo here; sleep 60"
    with supervised(tmp_path, pki_folder, shell("one", script), shell("other", script)):
        for times in range(1, 4):
            eventually(lambda times=times: text(one).count("here") == times, "it is not back")  # type: ignore[misc] # the loop's
            eventually(lambda: text(other), "the other was not started")
            (tmp_path / "restarts").write_text("unknown\none\n")
        eventually(lambda: text(one).count("here") == 4, "not for the last time")
    assert text(other).count("here") == 1


def test_what_cannot_be_started_says_so_and_spares_the_others(
    tmp_path: Path, pki_folder: Path
) -> None:
    logs = tmp_path / "logs"
    none = Process("none", ["/no/such/program"])
    with supervised(tmp_path, pki_folder, none, shell("other", "echo here; sleep 60")):
        eventually(lambda: "here" in text(logs / "other.log"), "the other was not started")
        eventually(lambda: "No such file" in text(logs / "none.log"), "no word of why")


def test_environment_is_path_home_and_what_the_process_says(
    tmp_path: Path, pki_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    log = tmp_path / "logs" / "env.log"
    with supervised(tmp_path, pki_folder, shell("env", "env; sleep 60", env={"ONE": "1"})):
        eventually(lambda: "ONE=1" in text(log), "the process does not get its environment")
    assert {x.partition("=")[0] for x in log.read_text().split()} >= {"PATH", "HOME", "ONE"}
    assert "SECRET_OF_THE_CALLER" not in log.read_text()


def test_a_process_waits_for_the_url_it_is_to_come_after(tmp_path: Path, pki_folder: Path) -> None:
    status = [503]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    certificate, key = pki.issue(pki_folder, "server", "127.0.0.1")
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(certificate, key)
    server.socket = trust.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{server.server_port}/readyz"
    early, late = tmp_path / "logs" / "early.log", tmp_path / "logs" / "late.log"
    with supervised(
        tmp_path,
        pki_folder,
        shell("late", "echo here; sleep 60", after=url),
        shell("early", "echo here; sleep 60"),
    ):
        eventually(lambda: "here" in text(early), "the one that waits for nothing was not started")
        time.sleep(0.3)
        assert not text(late)
        status[0] = 200
        eventually(lambda: "here" in text(late), "the gate never opened")
    server.shutdown()
    server.server_close()


def test_groups_are_stopped_one_after_the_other(tmp_path: Path, pki_folder: Path) -> None:
    order = tmp_path / "order"
    script = (
        f"trap 'sleep 0.2; echo %s >> {order}; exit' TERM; echo here; while :; do sleep 0.01; done"
    )
    names = {"last": 2, "first": 0, "middle": 1}
    processes = [shell(name, script % name, stop=group) for name, group in names.items()]
    with supervised(tmp_path, pki_folder, *processes) as supervisor:
        for name in names:
            log = tmp_path / "logs" / f"{name}.log"
            eventually(lambda log=log: "here" in text(log), "not started")  # type: ignore[misc] # the loop's
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(10) == 0
    assert order.read_text().split() == ["first", "middle", "last"]


def test_who_does_not_stop_is_killed(tmp_path: Path, pki_folder: Path) -> None:
    log = tmp_path / "logs" / "deaf.log"
    deaf = shell("deaf", "trap '' TERM; echo $$; while :; do sleep 0.05; done")
    with supervised(tmp_path, pki_folder, deaf) as supervisor:
        eventually(lambda: text(log), "not started")
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(10) == 0
    pid = int(log.read_text())
    eventually(lambda: not _runs(pid), "it still runs")


def test_the_plan_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    process = Process("x", ["y"], env={"TOKEN": "secret"}, after="http://z", stop=1)
    plan = Plan(
        Namespace("/n", ["10.0.0.1/24"], "10.1.0.0/16", "10.2.0.0/16", {"a": "b"}),
        [process],
        tmp_path,
        tmp_path,
        tmp_path,
    )
    plan.write(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Plan.read(path) == plan


def test_logs_of_the_run_before_are_kept(tmp_path: Path, pki_folder: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "x.log").write_text("before\n")
    with supervised(tmp_path, pki_folder, shell("x", "echo now; sleep 60")):
        eventually(lambda: text(logs / "x.log") == "now\n", "the log does not begin anew")
    assert (logs / "x.log.1").read_text() == "before\n"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
