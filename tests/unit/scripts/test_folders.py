"""What a pod gets of scripts/: the folder of its program, and the shared one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.script_files import script_files, script_volume
from tests.unit.program.conftest import ROOT

PROGRAMS = (
    *("maintenance.maintain", "nodes.configure_node", "certificates.keep_certificate"),
    *("storage.check_storage", "client.smoke_test"),
)
"""What pods run."""


def test_each_program_of_a_pod_starts_with_what_the_pod_gets(tmp_path: Path) -> None:
    for program in PROGRAMS:
        folder = program.partition(".")[0]
        files = script_files(folder)
        volume: Any = script_volume(folder, "code")
        for item in volume["config_map"]["items"]:
            path = tmp_path / folder / "scripts" / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[item["key"]])
        # Without site-packages: a pod has Python alone, and the node configurator PyYAML.
        yaml = ROOT / "tests" if program != "nodes.configure_node" else _yaml(tmp_path)
        started = subprocess.run(
            [sys.executable, "-S", "-m", f"scripts.{program}", "--help"],
            cwd=tmp_path / folder,
            env={"PYTHONPATH": str(yaml)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "usage:" in started.stdout, started.stderr


def _yaml(tmp_path: Path) -> Path:
    import yaml

    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "yaml").symlink_to(Path(yaml.__file__).parent)
    return tmp_path / "library"


def test_a_change_of_one_program_restarts_no_other_pod() -> None:
    for program in PROGRAMS:
        folder = program.partition(".")[0]
        assert {key.partition(".")[0] for key in script_files(folder)} == {folder, "shared"}


# https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
def test_each_program_fits_into_a_config_map() -> None:
    for program in PROGRAMS:
        assert sum(map(len, script_files(program.partition(".")[0]).values())) < 2**20


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").rglob("*.py")), ids=lambda x: x.stem)
def test_each_script_is_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 9))
