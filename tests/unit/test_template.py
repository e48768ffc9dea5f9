"""What `pulumi new` copies: .gitattributes leaves the rest out of archives."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def names() -> set[str]:
    command = ["git", "archive", "--worktree-attributes", "HEAD"]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name for member in tar.getmembers() if member.isfile()}


def test_an_archive_holds_the_program_and_its_documentation_only(names: set[str]) -> None:
    assert {name.split("/")[0] for name in names} == {
        *(".gitignore", "LICENSE", "Pulumi.yaml", "__main__.py", "components", "docs", "examples"),
        *(
            "foundation.py",
            "foundation.py",
            "outputs.py",
            "policy",
            "preflight",
            "requirements-policy.txt",
            "requirements.txt",
        ),
        *("scripts", "settings"),
    }


def test_no_stack_file_is_in_an_archive_since_it_would_supply_settings(names: set[str]) -> None:
    assert not [name for name in names if name.startswith("Pulumi.") and name != "Pulumi.yaml"]


def test_a_new_project_asks_for_the_hostname_only() -> None:
    template = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["template"]
    assert list(template["config"]) == ["hostname"]
    assert "default" not in template["config"]["hostname"], "a default would be taken by --yes"
