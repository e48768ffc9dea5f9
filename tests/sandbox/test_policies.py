"""The policy pack with the real engine: the program passes, and what breaks a policy is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.sandbox.helpers import ROOT, Sandbox

PACK = ("--policy-pack", str(ROOT / "policy"))

OPEN_POD = """\
import pulumi_kubernetes as kubernetes

kubernetes.core.v1.Pod(
    "open",
    metadata={"name": "open"},
    spec={"host_network": True, "containers": [{"name": "main", "image": "busybox:latest"}]},
)
"""

LEAK = """\
import pulumi_kubernetes as kubernetes
import pulumi_random as random

password = random.RandomPassword("password", length=32, special=False).result
data = password.apply(lambda value: {"KEY": value})
kubernetes.core.v1.ConfigMap("leak", metadata={"name": "leak"}, data=data)
"""


class Project:
    """A project of its own, in the sandbox's cluster."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self._sandbox = replace(sandbox, stack="breach")
        self._folder = folder
        options = {"toolchain": "pip", "virtualenv": str(ROOT / "venv")}
        project = {"name": "breach", "runtime": {"name": "python", "options": options}}
        (folder / "Pulumi.yaml").write_text(json.dumps(project))
        self.pulumi("stack", "init", "breach")

    def pulumi(self, *args: str, fails: bool = False) -> str:
        return self._sandbox.pulumi("--cwd", str(self._folder), *args, fails=fails).stdout

    def checked(self, program: str, *args: str, fails: bool = False) -> str:
        """Run a program with the policies."""
        (self._folder / "__main__.py").write_text(program)
        return self.pulumi(*args, *PACK, fails=fails)


@pytest.fixture
def project(sandbox: Sandbox, tmp_path: Path) -> Iterator[Project]:
    project = Project(sandbox, tmp_path)
    yield project
    project.pulumi("destroy", "--yes", "--skip-preview", "--remove")


def test_the_program_passes_in_preview_and_up(sandbox: Sandbox) -> None:
    for command in (["preview"], ["up", "--yes", "--skip-preview"]):
        result = sandbox.pulumi(*command, "--expect-no-changes", *PACK)
        assert "k3s-registry@v1.0.0" in result.stdout, "the policies did not run"
        assert "can't run policy" not in result.stdout


def test_a_pod_that_breaks_policies_is_refused_by_a_preview(project: Project) -> None:
    output = project.checked(OPEN_POD, "preview", fails=True)
    for policy in ("restricted-pods", "pinned-images"):
        assert f"[mandatory]  {policy}" in output
    assert "can't run policy" not in output


@pytest.mark.parametrize(("key", "policy"), [("password", "by-name"), ("notes", "by-value")])
def test_a_leak_that_a_preview_cannot_know_is_refused_by_up(
    project: Project, key: str, policy: str
) -> None:
    program = LEAK.replace("KEY", key)
    project.checked(program, "preview")
    output = project.checked(program, "up", "--yes", "--skip-preview", fails=True)
    assert f"[mandatory]  secrets-{policy}" in output
