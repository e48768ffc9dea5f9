"""A run of mutants goes on where an earlier one ended, and forgets nothing that it must not."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.mutation.figures import Figures, key

FILE = "components/a.py"
CODE = "x = 1\n"


def mutant(after: str) -> Any:
    """Return what figures know of a mutant; its own module needs what only the run installs."""
    return SimpleNamespace(file=FILE, scope="f", before='x = "1"', after=after)


ONE, TWO, ODD = mutant("x = 2"), mutant("x = 3"), mutant('x = "\\n\t\x7fé😀"')
ALL = [ONE, TWO, ODD]


def test_a_file_is_tried_again_only_if_it_has_changed(tmp_path: Path) -> None:
    figures = Figures.read(tmp_path)
    assert figures.todo(FILE, CODE, ALL) == ALL
    figures.done(FILE, CODE, ALL, [])
    again = Figures.read(tmp_path)
    assert again.todo(FILE, CODE, ALL) == []
    assert again.todo(FILE, "x = 2\n", ALL) == ALL
    assert again.todo(FILE, '"""Text."""\n\nx = 1  # a comment\n', ALL) == [], "it does the same"
    assert (again.mutants[FILE], again.killed(FILE)) == (3, 3)


def test_what_survived_is_tried_until_a_test_kills_it_or_it_has_a_reason(tmp_path: Path) -> None:
    figures = Figures.read(tmp_path)
    figures.done(FILE, CODE, ALL, [ONE, ODD])
    again = Figures.read(tmp_path)
    assert again.todo(FILE, CODE, ALL) == [ONE, ODD]
    assert again.unexplained([FILE]) == [key(ONE), key(ODD)]
    again.survivors[key(ODD)] = "it is the same"
    again.done(FILE, CODE, ALL, [])
    last = Figures.read(tmp_path)
    assert last.survivors == {key(ODD): "it is the same"}
    assert last.killed(FILE) == 2
    assert last.todo(FILE, "x = 2\n", ALL) == [ONE, TWO], "a reason holds as long as the line does"


def test_what_is_known_of_other_files_stays(tmp_path: Path) -> None:
    figures = Figures.read(tmp_path)
    figures.done(FILE, CODE, ALL, [ONE])
    figures.done("components/b.py", CODE, [], [])
    assert Figures.read(tmp_path).unexplained([FILE]) == [key(ONE)]
