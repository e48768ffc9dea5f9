"""The engine's environment, and what an interrupted update leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from sandbox.engine import engine
from sandbox.layout import Layout

GONE = 2**22 + 1
"""A process ID above the kernel's limit: proc_pid_max(5)."""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "sandbox", 7)


def write(layout: Layout, kind: str, name: str, text: str) -> Path:
    """Write a file of the engine's backend."""
    path = layout.state / "pulumi" / ".pulumi" / kind / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def process_of(layout: Layout, name: str, interrupted: signal.Handlers) -> subprocess.Popen[bytes]:
    """Start what passes for one of the sandbox's programs, with its disposition of SIGINT."""
    program = layout.tools / name
    program.parent.mkdir(parents=True)
    program.write_bytes(Path("/bin/sleep").read_bytes())
    program.chmod(0o755)
    return subprocess.Popen(
        [program, "60"],
        env={"PULUMI_HOME": str(layout.state / "pulumi")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, interrupted),
    )


def lock(layout: Layout, text: str, stack: str = "sandbox") -> None:
    write(layout, "locks", f"organization/k3s-registry/{stack}/1.json", text)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pulumi commands that :func:`engine.up` runs, each of which succeeds."""
    ran: list[str] = []

    def run(_layout: Layout, args: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.append(args[0])
        return subprocess.CompletedProcess(args, 0, "", "")

    monkeypatch.setattr(engine, "run", run)
    return ran


@pytest.mark.parametrize("text", [json.dumps({"pid": GONE}), "", '{"pid": 12'])
def test_a_lock_without_its_process_is_released(
    layout: Layout, commands: list[str], text: str
) -> None:
    lock(layout, text)
    engine.up(layout)
    assert commands == ["cancel", "refresh", "up"]


def test_a_lock_whose_process_id_is_another_programs_now_is_released(
    layout: Layout, commands: list[str]
) -> None:
    lock(layout, json.dumps({"pid": os.getpid()}))
    engine.up(layout)
    assert commands == ["cancel", "refresh", "up"]


def test_a_lock_of_a_pulumi_that_runs_is_respected(
    layout: Layout, commands: list[str], tmp_path: Path
) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_bytes(Path("/bin/sleep").read_bytes())
    pulumi.chmod(0o755)
    with subprocess.Popen([pulumi, "60"]) as process:
        lock(layout, json.dumps({"pid": process.pid}))
        engine.up(layout)
        process.kill()
    assert commands == ["up"], "pulumi itself reports who holds the lock"


def test_a_lock_of_another_stack_does_not_matter(layout: Layout, commands: list[str]) -> None:
    lock(layout, json.dumps({"pid": GONE}), stack="sandbox-other")
    engine.up(layout)
    assert commands == ["up"]


@pytest.mark.parametrize(
    ("history", "worthless"),
    [
        ([], True),
        (['{"result": "failed"}'], True),
        (['{"result": "failed"}', '{"result": "succeeded"}'], False),
        ([""], False),
    ],
)
def test_only_a_sandbox_without_a_successful_update_is_worthless(
    layout: Layout, history: list[str], worthless: bool
) -> None:
    lock(layout, "")
    for number, text in enumerate(history):
        write(layout, "history", f"k3s-registry/sandbox/{number}.history.json", text)
    assert engine.never_succeeded(layout) == worthless


def test_a_sandbox_that_was_not_interrupted_is_not_worthless(layout: Layout) -> None:
    assert not engine.never_succeeded(layout)


@pytest.mark.parametrize(
    ("disposition", "ended_by"),
    [(signal.SIG_DFL, signal.SIGINT), (signal.SIG_IGN, signal.SIGKILL)],
)
def test_an_engine_that_runs_is_interrupted_before_it_is_killed(
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    disposition: signal.Handlers,
    ended_by: signal.Signals,
) -> None:
    monkeypatch.setattr(engine, "_INTERRUPTED_WITHIN", 0.5)
    with process_of(layout, "pulumi", disposition) as process:
        engine.kill(layout)
        assert process.wait() == -ended_by


def test_a_provider_without_its_engine_is_killed_at_once(layout: Layout) -> None:
    with process_of(layout, "kubernetes-provider", signal.SIG_DFL) as provider:
        engine.kill(layout)
        assert provider.wait() == -signal.SIGKILL


def test_an_engine_of_another_sandbox_goes_on(layout: Layout) -> None:
    with process_of(layout, "pulumi", signal.SIG_DFL) as process:
        engine.kill(Layout(layout.root, "sandbox-other", 8))
        assert process.poll() is None
        process.kill()


@pytest.fixture
def callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell that is set up for another account, another stack and another registry."""
    for name in (
        "PULUMI_CONFIG_PASSPHRASE",
        "PULUMI_STACK",
        "DIGITALOCEAN_TOKEN",
        "SPACES_ACCESS_KEY_ID",
        "DOCKER_CONFIG",
    ):
        monkeypatch.setenv(name, "the caller's own")


@pytest.mark.usefixtures("callers")
def test_nothing_of_the_callers_accounts_is_in_the_environment(layout: Layout) -> None:
    assert "the caller's own" not in engine.environment(layout).values()


@pytest.mark.usefixtures("callers")
def test_a_shell_gets_the_same_environment(layout: Layout) -> None:
    script = f"{engine.shell_commands(layout)}\nexec env -0"
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    shell = dict(line.split("=", 1) for line in result.stdout.split("\0")[:-1])
    expected = engine.environment(layout)
    for name in ("PWD", "SHLVL", "_"):  # the shell's own
        expected.pop(name, None)
    assert expected.items() <= shell.items()
    assert "PULUMI_CONFIG_PASSPHRASE" not in shell


def test_docker_clients_and_podman_share_one_file_of_logins(layout: Layout) -> None:
    environment = engine.environment(layout)
    assert f"{environment['DOCKER_CONFIG']}/config.json" == environment["REGISTRY_AUTH_FILE"]
