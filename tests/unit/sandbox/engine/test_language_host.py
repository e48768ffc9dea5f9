from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from sandbox.engine.plugins.language_host import LanguageHost, environment, required_packages
from tests.unit.sandbox.fakes import AbortedError, call


def program(root: Path, **options: str) -> language_pb2.ProgramInfo:
    info = language_pb2.ProgramInfo(
        root_directory=str(root), program_directory=str(root), entry_point="."
    )
    info.options.update(options)
    return info


@pytest.fixture
def executor(tmp_path: Path) -> Path:
    """Stands for the SDK's executor: writes down what it got, ends as the stack's name says."""
    path = tmp_path / "executor"
    path.write_text(
        textwrap.dedent("""
        import os, pathlib, sys
        pathlib.Path("argv").write_text("\\n".join(sys.argv[1:]))
        pathlib.Path("config").write_text(os.environ["PULUMI_CONFIG"])
        sys.exit(int(next(word for word in sys.argv if "--stack=" in word).split("=")[1]))
        """)
    )
    return path


def run(executor: Path, code: int) -> language_pb2.RunResponse:
    request = language_pb2.RunRequest(
        project="project",
        stack=str(code),
        pwd=str(executor.parent),
        monitor_address="127.0.0.1:1",
        dryRun=True,
        parallel=4,
        config={"project:password": "hidden"},
        configSecretKeys=["project:password"],
        info=program(executor.parent),
    )
    return call(LanguageHost(executor, "127.0.0.1:2").Run, request)


def test_a_virtual_environment_is_relative_to_the_project(tmp_path: Path) -> None:
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert environment(program(tmp_path, virtualenv="venv")) == tmp_path / "venv"


def test_without_one_the_own_environment_serves(tmp_path: Path) -> None:
    assert environment(program(tmp_path)) == Path(sys.prefix)


def test_a_missing_environment_is_told_before_the_program_runs(tmp_path: Path) -> None:
    request = language_pb2.GetRequiredPackagesRequest(info=program(tmp_path, virtualenv="venv"))
    host = LanguageHost(tmp_path, "")
    with pytest.raises(AbortedError, match=f"no virtual environment at {tmp_path}/venv"):
        call(host.GetRequiredPackages, request)


def test_a_new_project_gets_a_link_to_the_own_environment(tmp_path: Path) -> None:
    request = language_pb2.InstallDependenciesRequest(info=program(tmp_path, virtualenv="venv"))
    host = LanguageHost(tmp_path, "")
    (response,) = call(host.InstallDependencies, request)
    assert (tmp_path / "venv").readlink() == Path(sys.prefix)
    assert b"nothing was installed" in response.stdout
    assert not list(call(host.InstallDependencies, request)), "an environment is never replaced"


def test_the_required_plugins_are_those_of_the_installed_sdks(tmp_path: Path) -> None:
    for name, text in {
        "pulumi_one": '{"resource": true, "name": "one", "version": "1.2.3"}',
        "pulumi_two": '{"resource": false, "name": "two"}',
    }.items():
        folder = tmp_path / "lib" / "python3.11" / "site-packages" / name
        folder.mkdir(parents=True)
        (folder / "pulumi-plugin.json").write_text(text)
    (result,) = required_packages(tmp_path)
    assert (result.name, result.kind, result.version) == ("one", "resource", "v1.2.3")


def test_the_own_environment_requires_the_three_providers_of_the_program() -> None:
    result = {package.name for package in required_packages(Path(sys.prefix))}
    assert {"digitalocean", "kubernetes", "random"} <= result


def test_a_program_gets_what_the_engine_says(executor: Path) -> None:
    assert run(executor, 0) == language_pb2.RunResponse()
    argv = (executor.parent / "argv").read_text().splitlines()
    assert argv[-1] == str(executor.parent)
    assert {
        "--monitor=127.0.0.1:1",
        "--engine=127.0.0.1:2",
        "--project=project",
        "--dry_run=true",
        "--parallel=4",
    } <= set(argv)


def test_a_config_secret_is_not_in_an_argument(executor: Path) -> None:
    run(executor, 0)
    assert "hidden" not in (executor.parent / "argv").read_text(), "argv is open to all users"
    assert "hidden" in (executor.parent / "config").read_text()


def test_a_failed_program_is_told_by_its_code(executor: Path) -> None:
    assert run(executor, 3).error == "program exited with non-zero exit code: 3"


def test_a_program_that_explained_itself_is_not_talked_over(executor: Path) -> None:
    response = run(executor, 32)
    assert response.bail, "the user has seen the error already"
    assert not response.error


def test_a_policy_pack_is_heard_to_its_end(tmp_path: Path) -> None:
    package = tmp_path / "pulumi"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "policy.py").write_text(
        "import sys\nprint(sys.argv[1:])\nprint('bad', file=sys.stderr)\nsys.exit(4)\n"
    )
    request = language_pb2.RunPluginRequest(
        kind="analyzer",
        pwd=str(tmp_path),
        args=["127.0.0.1:1"],
        env=[f"PYTHONPATH={tmp_path}"],
        info=program(tmp_path),
    )
    responses = list(call(LanguageHost(tmp_path, "").RunPlugin, request))
    assert b"".join(response.stdout for response in responses) == (
        f"['127.0.0.1:1', '{tmp_path}']\n".encode()
    )
    assert b"".join(response.stderr for response in responses) == b"bad\n"
    assert responses[-1].exitcode == 4


def test_a_component_is_hosted_by_the_program_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_text("import sys\nprint(sys.argv[1:])\n")
    request = language_pb2.RunPluginRequest(
        kind="resource", pwd=str(tmp_path), args=["127.0.0.1:1"], info=program(tmp_path)
    )
    responses = list(call(LanguageHost(tmp_path, "").RunPlugin, request))
    assert b"".join(response.stdout for response in responses) == b"['127.0.0.1:1']\n"


def test_other_plugins_are_refused(tmp_path: Path) -> None:
    request = language_pb2.RunPluginRequest(kind="converter", info=program(tmp_path))
    with pytest.raises(AbortedError, match="runs no converter plugins"):
        list(call(LanguageHost(tmp_path, "").RunPlugin, request))


@pytest.fixture
def served() -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "sandbox.engine.plugins.language_host",
        "executor",
        "127.0.0.1:1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_the_host_serves_and_ends_at_once(served: subprocess.Popen[str]) -> None:
    assert served.stdout
    port = int(served.stdout.readline())
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        host = language_pb2_grpc.LanguageRuntimeStub(channel)
        host.GetPluginInfo(empty_pb2.Empty())
    os.kill(served.pid, signal.SIGINT)
    assert served.wait(timeout=2) == 0, "the engine would wait 10 s at the end of every command"
