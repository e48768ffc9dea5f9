"""What Pulumi itself makes of bad settings, and of the commands that are to fix them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from reference.json_schema import document
from sandbox.build import images
from tests.sandbox.helpers import ROOT, Sandbox
from tests.unit.program.conftest import PROJECT
from tests.unit.settings.helpers import GOOD, S3, problems
from tests.unit.settings.pulumi_config import PulumiConfig
from tests.unit.settings.test_fixes import SLIPS


class Stack:
    """A stack with a configuration and nothing else, in a folder of its own.

    Args:
        folder: The folder.
        environment: The environment of `pulumi`, for the sandbox's stack.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self.file = folder / "Pulumi.slips.yaml"
        self._environment = environment | {
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_STACK": "slips",
        }
        shutil.copy(ROOT / "Pulumi.yaml", folder)
        self.run("pulumi stack init slips")
        self.salt = self.file.read_text()

    def run(self, command: str, typed: str = "") -> str:
        """Run a command in a shell, as a user does, and return what it prints."""
        result = subprocess.run(
            ["sh", "-ec", command],
            cwd=self._folder,
            env=self._environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stderr}"
        return result.stdout

    def configure(self, values: dict[str, Any]) -> None:
        config = {
            f"{PROJECT}:{key}": value for key, value in json.loads(json.dumps(values)).items()
        }
        self.file.write_text(f"{self.salt.rstrip()}\n{yaml.safe_dump({'config': config})}")

    def configured(self) -> dict[str, Any]:
        config = yaml.safe_load(self.file.read_text())["config"]
        return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    return Stack(tmp_path_factory.mktemp("slips"), sandbox.environment)


def one_of_each_form() -> list[dict[str, Any]]:
    """Return slips whose fixes have all forms of commands, but for those that handle secrets."""
    forms: set[str] = set()
    slips = []
    for slip, _ in SLIPS:
        fixes = " && ".join(problem.fix for problem in problems(GOOD | slip))
        new = {re.sub(r"(?<![\w-])[\w./*]+", "x", step) for step in fixes.split(" && ")} - forms
        if new and "--secret" not in fixes:
            forms |= new
            slips.append(slip)
    return slips


def test_pulumi_runs_the_printed_commands_as_the_unit_tests_stand_in_does(stack: Stack) -> None:
    for slip in one_of_each_form():
        stack.configure(GOOD | slip)
        model = PulumiConfig(GOOD | slip)
        for problem in problems(model.values):
            stack.run(problem.fix)
            model.run(problem.fix)
        assert stack.configured() == model.values, slip


def test_pulumi_asks_for_the_value_that_a_command_leaves_out(stack: Stack) -> None:
    slip = {"storage": S3 | {"secretKey": "x", "accessKey": 1.2e19}}
    stack.configure(GOOD | slip)
    fixes = [problem.fix for problem in problems(GOOD | slip)]
    assert [fix.split()[-1] for fix in fixes] == ["storage.secretKey", "storage.accessKey"]
    stack.run(fixes[1], typed="12000000000000000001\n")
    assert stack.configured()["storage"]["accessKey"] == "12000000000000000001"


def test_pulumi_encrypts_a_secret_that_was_set_in_plaintext(stack: Stack) -> None:
    slip = {"storage": dict(S3) | {"secretKey": "hunter2\\'\""}}
    stack.configure(GOOD | slip)
    (problem,) = problems(GOOD | slip)
    stack.run(problem.fix)
    storage = stack.configured()["storage"]
    assert set(storage.pop("secretKey")) == {"secure"}
    assert storage == {key: value for key, value in S3.items() if key != "secretKey"}
    assert stack.run("pulumi config get --path storage.secretKey") == "hunter2\\'\"\n"


def test_editors_take_what_pulumi_writes_and_pulumi_keeps_the_line_that_they_need(
    stack: Stack,
) -> None:
    line = "# yaml-language-server: $schema=stack.schema.json\n"
    stack.file.write_text(f"{line}{stack.salt}\nconfig:\n  hostname: a.example.com\n")
    for arguments in (
        "hostname registry.example.com",
        "rotation 2",
        "--path storage.region fra1",
        "--path nodes.configure true",
        "--path 'users.ci.push[0]' 'team-a/*'",
        "--path --secret webhooks.ci.headers.Authorization x",
        "--path webhooks.ci.url https://ci.example.com",
        "--secret digitalocean:token x",
    ):
        stack.run(f"pulumi config set {arguments}")
    text = stack.file.read_text()
    assert text.startswith(line)
    assert [*Draft7Validator(document()).iter_errors(yaml.safe_load(text))] == []


def test_pulumi_reads_the_contents_of_a_file(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-----BEGIN\nx\n")
    slip = {"tls": {"clientCa": str(file)}}
    stack.configure(GOOD | slip)
    (problem,) = problems(GOOD | slip)
    stack.run(problem.fix)
    assert stack.configured()["tls"] == {"clientCa": "-----BEGIN\nx"}


@pytest.mark.parametrize("command", ["preview", "up"])
def test_bad_settings_end_without_traceback_and_unhandled_error(
    sandbox: Sandbox, command: str
) -> None:
    sandbox.config(storage__regoin="fra1", registry__image="registry:3.1.1")
    sandbox.pulumi("config", "set", "tls", "")
    try:
        options = ["--yes", "--skip-preview"] if command == "up" else []
        failed = sandbox.pulumi(command, *options, fails=True)
    finally:
        sandbox.pulumi("config", "rm", "--path", "storage")
        sandbox.pulumi("config", "rm", "tls")
        sandbox.config(registry__image=images.REGISTRY)
    output = failed.stdout + failed.stderr
    assert "2 problems" in output
    assert "pulumi config set --path storage.region fra1" in output
    assert "pulumi config set --path registry.image registry:3.1.2" in output
    assert "Traceback" not in output
    assert "unhandled" not in output
    sandbox.pulumi("preview", "--expect-no-changes")
