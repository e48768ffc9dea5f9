"""Everything that the program registers, in each mode, against golden files.

golden/program/ holds the default mode: every URN with its options, all inputs and outputs, where
`!secret` marks what is encrypted in the state. Each other mode is the difference to it.
"""

from __future__ import annotations

import pytest

from tests.unit.conftest import Golden
from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.modes import MODES
from tests.unit.program.snapshot import difference, snapshot

CONTRACT = (
    "where a URN changed, `up` deletes what users have and creates it anew, unless the resource "
    "has an alias with its old name, type or parent. Then"
)


def test_every_resource_is_the_golden_one(run: Run, golden: Golden) -> None:
    for file, entries in snapshot(run()).items():
        golden(f"program/{file}", "\n".join(entries.values()), CONTRACT)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_differs_as_its_golden_says(run: Run, golden: Golden, mode: str) -> None:
    other = run({**CONFIG, **MODES[mode]})
    golden(f"program/{mode}.diff", difference(snapshot(run()), snapshot(other)), CONTRACT)


def test_no_golden_is_of_a_mode_that_is_gone(run: Run, golden: Golden) -> None:
    files = {path.name for path in golden.folder.joinpath("program").iterdir()}
    assert files == {*snapshot(run()), *(f"{mode}.diff" for mode in MODES)}


@pytest.mark.parametrize("config", [{}, MODES["s3"], MODES["nodes"]])
def test_a_preview_shows_the_whole_graph(run: Run, config: dict[str, object]) -> None:
    preview, update = (run({**CONFIG, **config}, preview=dry) for dry in (True, False))
    assert snapshot(preview)["urns.yaml"] == snapshot(update)["urns.yaml"]
