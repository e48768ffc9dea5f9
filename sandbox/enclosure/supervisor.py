"""PID 1 of the sandbox's namespaces: prepares them, then keeps the sandbox's processes running.

``python -m sandbox.enclosure.supervisor <plan>`` is started under ``unshare`` (see enclosure.py).
All that it creates (mounts, addresses, rules, processes) belongs to those namespaces, so the kernel
removes it with the last process in them, however that process ends.
"""

from __future__ import annotations

import json
import os
import select
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from sandbox.enclosure.namespaces import Namespace, prepare
from sandbox.enclosure.process import Process
from sandbox.files import write_private

FIRST_BACK_OFF, LAST_BACK_OFF = 0.2, 5.0
"""Seconds before a process that ended is started again; doubles each time."""

STEADY = 10.0
"""Seconds after which a process that ran is restarted with the first back-off again."""

STOP_WITHIN = 2.5
"""Seconds from SIGTERM to SIGKILL. The API server would drain for 60, for no client."""

_GATE_EVERY = 0.1
"""Seconds between two requests of a URL that a process waits for."""


@dataclass(frozen=True)
class Plan:
    """The input of a supervisor.

    Attributes:
        namespace: Mounts and network to prepare.
        processes: What to run, in this order.
        logs: The folder of the log files; those of the last run are kept as ``<name>.log.1``.
        ca: The certificate authority of the URLs in ``Process.after``.
        restarts: The FIFO to make; processes whose names are written to it, a line each, are
            restarted.
    """

    namespace: Namespace
    processes: list[Process]
    logs: Path
    ca: Path
    restarts: Path

    def write(self, path: Path) -> None:
        """Write the plan to a private file: environments may contain secrets."""
        write_private(path, json.dumps(asdict(self), default=str, indent=1))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a plan that :meth:`write` wrote."""
        plan = json.loads(path.read_text())
        return cls(
            namespace=Namespace(**plan["namespace"]),
            processes=[Process(**x) for x in plan["processes"]],
            logs=Path(plan["logs"]),
            ca=Path(plan["ca"]),
            restarts=Path(plan["restarts"]),
        )


@dataclass
class _Child:
    process: Process
    gate: threading.Event
    running: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    back_off: float = FIRST_BACK_OFF
    is_asked_to_end: bool = False


@dataclass
class Supervisor:
    """Starts processes, restarts those that end, and stops all of them in order.

    Attributes:
        plan: What to run; its namespace is already prepared.
    """

    plan: Plan
    _children: list[_Child] = field(default_factory=list)
    _stopping: bool = False

    def run(self) -> None:
        """Keep everything running until SIGTERM, then stop it. Blocks; main thread only."""
        wake_up, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        gates = {x.after: threading.Event() for x in self.plan.processes if x.after}
        no_gate = threading.Event()
        no_gate.set()
        self._children = [
            _Child(x, gates[x.after] if x.after else no_gate) for x in self.plan.processes
        ]
        for child in self._children:
            log = self._log(child)
            if log.exists():
                log.replace(log.with_suffix(".log.1"))
        for url, gate in gates.items():
            threading.Thread(target=self._watch, args=(url, gate, wake), daemon=True).start()
        restarts = self._restarts()
        while not self._stopping:
            self._start_due()
            select.select([wake_up, restarts], [], [], self._next_due())
            self._drain(wake_up)
            names = self._drain(restarts).decode().split()
            self._restart([x for x in self._children if x.process.name in names])
            self._reap()
        self._stop()

    def _restarts(self) -> int:
        self.plan.restarts.unlink(missing_ok=True)
        os.mkfifo(self.plan.restarts, 0o600)
        # For writing, too: there is no end of file when a writer closes it.
        return os.open(self.plan.restarts, os.O_RDWR)

    def _restart(self, children: list[_Child]) -> None:
        self._signal(children, signal.SIGTERM)
        for child in children:
            child.is_asked_to_end = child.running is not None

    def _on_term(self, *_: object) -> None:
        self._stopping = True

    def _log(self, child: _Child) -> Path:
        return self.plan.logs / f"{child.process.name}.log"

    def _watch(self, url: str, gate: threading.Event, wake: int) -> None:
        ssl_context = ssl.create_default_context(cafile=self.plan.ca)
        while True:
            try:
                with urllib.request.urlopen(url, timeout=2, context=ssl_context) as response:  # noqa: S310 (from our own plan)
                    if response.status == 200:
                        break
            except (OSError, ValueError):
                pass
            time.sleep(_GATE_EVERY)
        gate.set()
        os.write(wake, b"\0")

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self._children:
            if child.running or child.due > now or not child.gate.is_set():
                continue
            environment = {"PATH": os.environ["PATH"], "HOME": str(Path.home())}
            with self._log(child).open("ab") as log:
                child.started = now
                child.running = _spawn(child.process, environment, log)
            if not child.running:
                self._back_off(child, "could not be started")

    def _next_due(self) -> float | None:
        """Return the seconds until the next restart; None if none is due."""
        due = [x.due for x in self._children if not x.running and x.gate.is_set()]
        return max(0.0, min(due) - time.monotonic()) if due else None

    @staticmethod
    def _drain(pipe: int) -> bytes:
        content = b""
        while select.select([pipe], [], [], 0)[0]:
            content += os.read(pipe, 512)
        return content

    def _reap(self) -> None:
        """Wait for processes that ended; for PID 1 these include all orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for child in self._children:
                if child.running and child.running.pid == pid:
                    # Set here, since waitpid above consumed the status that Popen waits for.
                    child.running.returncode = os.waitstatus_to_exitcode(status)
                    self._back_off(child, f"ended with {child.running.returncode}")
                    child.running = None

    def _back_off(self, child: _Child, what: str) -> None:
        if self._stopping:
            return
        now = time.monotonic()
        if child.is_asked_to_end:
            child.is_asked_to_end, child.due = False, now
            note(f"{child.process.name} {what}, as asked")
            return
        if now - child.started > STEADY:
            child.back_off = FIRST_BACK_OFF
        child.due = now + child.back_off
        note(f"{child.process.name} {what}, restarts in {child.back_off:.1f} s")
        child.back_off = min(child.back_off * 2, LAST_BACK_OFF)

    def _stop(self) -> None:
        for group in sorted({x.process.stop for x in self._children}):
            members = [x for x in self._children if x.process.stop == group]
            self._signal(members, signal.SIGTERM)
            limit = time.monotonic() + STOP_WITHIN
            while any(x.running for x in members) and time.monotonic() < limit:
                time.sleep(0.02)
                self._reap()
            self._signal(members, signal.SIGKILL)

    @staticmethod
    def _signal(children: list[_Child], number: signal.Signals) -> None:
        for child in children:
            if child.running:
                # Not Popen.send_signal, which calls waitpid first.
                os.kill(child.running.pid, number)


def note(text: str) -> None:
    """Write a line with the time to the supervisor's own log."""
    print(time.strftime("%H:%M:%S"), text, flush=True)


def _spawn(
    process: Process, environment: dict[str, str], log: IO[bytes]
) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            process.argv,
            env=environment | process.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except OSError as error:
        log.write(f"{error}\n".encode())
        return None


def main() -> None:
    """Prepare the namespaces of this process, then run the plan."""
    plan = Plan.read(Path(sys.argv[1]))
    prepare(plan.namespace)
    note("namespaces are ready")
    Supervisor(plan).run()
    note("stopped")


if __name__ == "__main__":
    main()
