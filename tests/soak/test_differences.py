"""Narrower than a plain registry, never wider: what differs is in the documentation."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.soak.both import Asking, Both, started
from tests.soak.commands import Clients
from tests.soak.crane_commands import CRANE
from tests.soak.differences import NOT_ASKED, ROWS, differences, documented, due, unknown
from tests.soak.forms import FORMS

USERS = {"admin": "team-a/app", "ci": "team-a/app", "dot": "team-a/app", "pull": "team-a/app"}


@pytest.fixture(scope="module")
def both(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    with started(tools, tmp_path_factory.mktemp("both")) as servers:
        yield servers


def test_every_difference_is_a_row_of_the_table_and_every_row_is_one(both: Both) -> None:
    used: set[str] = set()
    problems: list[str] = []
    for user in ("admin", "ci", "pull", "dot", ""):
        for name, form in FORMS.items():
            recorded = []
            for recorder in (both.plain, both.here):
                plainly = recorder is both.plain
                with closing(Asking(recorder, user, within_rights=plainly)) as ask:
                    form(ask, f"team-a/{name}")
                recorded.append(recorder.take())
            asked, got = iter(recorded[0]), recorded[1]
            for here in got:
                plain = NOT_ASKED if due(here).status == 403 else next(asked)
                problems += [f"{user} {name} {x}" for x in unknown(differences(plain, here), used)]
            assert not [*asked]
    assert not problems, "\n".join([f"{len(problems)} differences", *problems])
    assert used == set(ROWS) == set(documented())


def layer(file: Path, size: int) -> None:
    """Write a layer of files that are the same in each run, with a size that no pipe holds."""
    content = random.Random(size).randbytes(size)
    with tarfile.open(file, "w:gz") as archive:
        member = tarfile.TarInfo("file")
        member.size = size
        archive.addfile(member, io.BytesIO(content))


def test_crane_does_the_same_with_both(both: Both, tools: Path, tmp_path: Path) -> None:
    clients = Clients(both, tools, tmp_path / "clients")
    for name, size in (("layer", 3_000_000), ("second", 1_000)):
        layer(clients.shared / f"{name}.tar.gz", size)
    problems = [x for command in CRANE for x in clients.problems(command)]
    assert not problems, "\n".join(problems)
