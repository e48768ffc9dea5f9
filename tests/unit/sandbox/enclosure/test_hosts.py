"""The sandbox's lines in the hosts file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.enclosure import hosts
from sandbox.layout import Layout

ONE = Layout(Path("/nowhere"), "sandbox-a", 3)
OTHER = Layout(Path("/nowhere"), "sandbox-b", 4)


@pytest.mark.parametrize("before", ["", "127.0.0.1 localhost\n", "127.0.0.1 localhost"])
def test_adding_twice_and_removing_leaves_what_was_there(tmp_path: Path, before: str) -> None:
    path = tmp_path / "hosts"
    path.write_text(before)
    hosts.add(ONE, path)
    once = path.read_text()
    hosts.add(ONE, path)
    assert path.read_text() == once
    hosts.remove(ONE, path)
    assert path.read_text().rstrip("\n") == before.rstrip("\n")


def test_each_name_has_its_address(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.touch()
    hosts.add(ONE, path)
    lines = [line.split()[:2] for line in path.read_text().splitlines()]
    assert lines == [[ip, name] for name, ip in ONE.hosts.items()]


def test_sandboxes_do_not_touch_each_others_lines(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.touch()
    hosts.add(ONE, path)
    hosts.add(OTHER, path)
    hosts.remove(ONE, path)
    kept = path.read_text()
    assert OTHER.hostname in kept
    assert ONE.domain not in kept


def test_the_file_is_changed_in_place_as_it_may_be_a_bind_mount(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.touch()
    inode = path.stat().st_ino
    hosts.add(ONE, path)
    assert path.stat().st_ino == inode
