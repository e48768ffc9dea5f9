"""actionlint and shellcheck find nothing in the workflows, and would find something."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox.build import debian, toolchain
from tests.gate.workflows import ROOT, WORKFLOWS
from tests.pinned_tools import ACTIONLINT

TOOLS = ROOT / ".sandbox" / "tools"

BROKEN = """\
on: push
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: echo $HOME ${{ secret.a }}
"""


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    debian.install({"shellcheck": "shellcheck"})
    toolchain.build(TOOLS, [ACTIONLINT], [])


def actionlint(*workflows: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOLS / "actionlint", *workflows], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_it_finds_nothing() -> None:
    result = actionlint(*WORKFLOWS)
    assert result.returncode == 0, result.stdout


def test_it_finds_what_is_wrong_in_a_workflow_and_in_its_scripts(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text(BROKEN)
    output = actionlint(tmp_path / "broken.yml").stdout
    assert 'undefined variable "secret"' in output
    assert "SC2086" in output, "shellcheck did not run"
