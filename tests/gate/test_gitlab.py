"""GitLab's schema and shellcheck find nothing in the example pipeline, and would find something."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.build import debian
from tests.gate.workflows import PIPELINE, ROOT, scripts

BROKEN = """\
job:
  script: [echo $HOME]
  when: sometimes
"""


@pytest.fixture(scope="module", autouse=True)
def shellcheck() -> None:
    debian.install({"shellcheck": "shellcheck"})


def schema(pipeline: Path) -> subprocess.CompletedProcess[str]:
    program = ROOT / ".sandbox/scanners/bin/check-jsonschema"
    command = [str(program), "--builtin-schema=vendor.gitlab-ci", str(pipeline)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def checked(script: str) -> subprocess.CompletedProcess[str]:
    command = ["shellcheck", "--shell=bash", "-"]
    return subprocess.run(command, input=script, capture_output=True, text=True, check=False)


def test_they_find_nothing() -> None:
    result = schema(PIPELINE)
    assert result.returncode == 0, result.stdout
    jobs = scripts(yaml.safe_load(PIPELINE.read_text()))
    assert set(jobs) == {".pulumi", "preview", "up", "drift"}
    for script in jobs.values():
        result = checked(script)
        assert result.returncode == 0, result.stdout


def test_they_find_what_is_wrong_in_a_pipeline_and_in_its_scripts(tmp_path: Path) -> None:
    (tmp_path / "broken.yml").write_text(BROKEN)
    assert "'sometimes'" in schema(tmp_path / "broken.yml").stdout
    broken: dict[str, Any] = yaml.safe_load(BROKEN)
    assert "SC2086" in checked(scripts(broken)["job"]).stdout
