"""What is installed is what the .in files ask for, and each file of it has a hash."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = sorted(
    path.relative_to(ROOT)
    for folder in (ROOT, ROOT / "tests/gate", ROOT / "tests/mutation")
    for path in folder.glob("*.in")
)


def pins(path: Path) -> dict[str, str]:
    """Return the version of each package that a file names."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / path).read_text(), re.MULTILINE)
    return {re.sub("[._]", "-", name).lower(): version for name, version in lines}


@pytest.mark.parametrize("path", LOCKED, ids=str)
def test_every_requirement_is_locked(path: Path) -> None:
    locked = pins(path.with_suffix(".txt"))
    assert pins(path).items() <= locked.items(), "run: make pins"


@pytest.mark.parametrize(
    "path", [*(x.with_suffix(".txt") for x in LOCKED), Path("requirements-policy.txt")], ids=str
)
def test_every_package_has_a_hash(path: Path) -> None:
    entries = re.split(r"\n(?=\S)", re.sub("(?m)^ *#.*\n", "", (ROOT / path).read_text()))
    assert entries
    for entry in entries:
        assert " --hash=sha256:" in entry, entry


def test_the_tests_run_with_what_users_install() -> None:
    assert pins(Path("requirements.txt")).items() <= pins(Path("requirements-dev.txt")).items()
