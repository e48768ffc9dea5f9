"""zizmor finds nothing in the workflows that an attacker could use, and would find something."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.gate.workflows import ROOT, WORKFLOWS

BROKEN = """\
on: pull_request_target
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: echo "${{ github.event.pull_request.title }}"
"""


def zizmor(*workflows: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ROOT / ".sandbox/scanners/bin/zizmor", "--offline", "--persona=auditor", *workflows],
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_finds_nothing() -> None:
    result = zizmor(*WORKFLOWS)
    assert result.returncode == 0, result.stdout


def test_it_finds_what_an_attacker_could_use(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text(BROKEN)
    output = zizmor(tmp_path / "broken.yml").stdout
    assert "dangerous-triggers" in output
    assert "template-injection" in output
