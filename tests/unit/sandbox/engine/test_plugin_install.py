from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from sandbox.engine.plugin_install import install


@pytest.fixture
def scripts(tmp_path: Path) -> list[Path]:
    install(tmp_path / "home", tmp_path / "a bin", Path(sys.executable))
    return sorted(path for path in tmp_path.rglob("pulumi-*") if path.is_file())


def test_each_plugin_is_where_the_engine_looks(scripts: list[Path], tmp_path: Path) -> None:
    assert [str(path.relative_to(tmp_path)) for path in scripts] == [
        "a bin/pulumi-language-python",
        f"home/plugins/resource-digitalocean-v{version('pulumi-digitalocean')}"
        "/pulumi-resource-digitalocean",
        f"home/plugins/resource-random-v{version('pulumi-random')}/pulumi-resource-random",
    ], "the engine asks for the version of the SDK"


def test_an_installed_plugin_is_left_alone(scripts: list[Path], tmp_path: Path) -> None:
    before = [path.stat().st_mtime_ns for path in scripts]
    install(tmp_path / "home", tmp_path / "a bin", Path(sys.executable))
    assert [path.stat().st_mtime_ns for path in scripts] == before


def test_a_plugin_of_another_python_is_replaced(scripts: list[Path], tmp_path: Path) -> None:
    install(tmp_path / "home", tmp_path / "a bin", Path("/other python/bin/python"))
    assert all("'/other python/bin/python'" in path.read_text() for path in scripts)


def test_each_plugin_starts_anywhere_and_says_what_it_is(
    scripts: list[Path], tmp_path: Path
) -> None:
    started = [
        subprocess.Popen([path, "--help"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for path in scripts
    ]
    for process in started:
        output, _ = process.communicate()
        assert process.returncode == 0
        assert "Stand-in for pulumi" in output or "Stand-in for the pulumi" in output


def test_a_script_that_another_checkout_shares_stays_as_it_is(
    scripts: list[Path], tmp_path: Path
) -> None:
    """Its tools may be hard links to these, and each checkout has a Python of its own."""
    others = [tmp_path / f"other-{number}" for number, _ in enumerate(scripts)]
    for other, script in zip(others, scripts, strict=True):
        other.hardlink_to(script)
    before = [other.read_text() for other in others]
    install(tmp_path / "home", tmp_path / "a bin", Path("/other python/bin/python"))
    assert [other.read_text() for other in others] == before


def test_sandboxes_of_a_checkout_may_install_at_the_same_time(tmp_path: Path) -> None:
    """The language host is one file for all of them; `make test` starts two at once."""
    code = (
        "import sys; from pathlib import Path; from sandbox.engine.plugin_install import install\n"
        "for number in range(100): install(Path(sys.argv[1]), Path(sys.argv[2]), Path(str(number)))"
    )
    folders = [tmp_path / name for name in ("one", "two")]
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(folder), str(tmp_path / "bin")])
        for folder in folders
    ]
    assert [process.wait() for process in both] == [0, 0]
