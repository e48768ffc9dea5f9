"""A journal is on the disk before anything else is anywhere."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from live.journal import Journal
from live.names import Run


def test_each_line_is_on_the_disk_before_it_is_returned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    home = tmp_path / ".live"
    journal = Journal.begin(home, Run.new(), region="nyc3")
    assert synced == [*map(str, (journal.file, journal.folder, home, tmp_path))]
    journal.creating("droplet")
    assert synced[-1] == str(journal.file)
    assert journal.began("droplet")
    assert not journal.began("stack")
    assert journal.facts()["region"] == "nyc3"


def test_a_line_that_was_not_written_whole_is_none(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path / ".live", Run.new(), region="nyc3")
    with journal.file.open("a") as file:
        file.write('{"creating": "drop')
    assert journal.facts() == {"region": "nyc3"}


def test_nobody_else_reads_a_run(tmp_path: Path) -> None:
    journal = Journal.begin(tmp_path / ".live", Run.new(), region="nyc3")
    assert journal.folder.stat().st_mode & 0o777 == 0o700
    assert journal.file.stat().st_mode & 0o777 == 0o600


def test_runs_are_found_until_they_end_also_without_a_journal(tmp_path: Path) -> None:
    home = tmp_path / ".live"
    assert Journal.all(home) == []
    journal = Journal.begin(home, Run.new(), region="nyc3")
    (home / f"{journal.run.name}.txt").write_text("a transcript")
    journal.file.unlink()
    assert Journal.all(home) == [journal]
    assert journal.facts() == {}
    journal.end()
    assert Journal.all(home) == []
