"""What is known of each file: how many mutants it has, and which of them survive.

Both are files beside this one, so that a run goes on where an earlier one ended. `figures.toml` has
a line for each file that was run whole, with the digest of its code. `survivors.toml` has the
mutants that survived; an empty reason says that nobody has looked at it yet.
"""

from __future__ import annotations

import ast
import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.mutation.mutants import Mutant

FOLDER = Path(__file__).parent

FIGURES_HEAD = """\
# Written by `make mutation`. Delete the lines of files whose tests have changed much: the digest is
# that of the file alone.
"""
SURVIVORS_HEAD = """\
# The mutants that survive the unit tests, each with the reason why no test can notice it.
# `make mutation` adds those that it finds, with an empty reason, and tries these again.
"""

Key = tuple[str, str, str, str]
"""What tells a mutant from others, wherever its lines are: file, scope, before and after."""


def key(mutant: Mutant) -> Key:
    return mutant.file, mutant.scope, mutant.before, mutant.after


@dataclass
class Figures:
    """The contents of both files.

    Attributes:
        mutants: The number of mutants by file.
        digests: The digest of each of these files.
        survivors: The mutants that survived, with their reasons.
    """

    folder: Path = FOLDER
    mutants: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    survivors: dict[Key, str] = field(default_factory=dict)

    @staticmethod
    def read(folder: Path = FOLDER) -> Figures:
        """Return what the files say; a missing one says nothing."""
        figures = Figures(folder)
        for file, known in _toml(folder / "figures.toml").items():
            figures.mutants[file], figures.digests[file] = known["mutants"], known["digest"]
        for x in _toml(folder / "survivors.toml").get("survivor", []):
            figures.survivors[x["file"], x["scope"], x["before"], x["after"]] = x["reason"]
        return figures

    def write(self) -> None:
        lines = [
            f"{_text(file)} = {{ mutants = {self.mutants[file]}, killed = {self.killed(file)}, "
            f"digest = {_text(self.digests[file])} }}\n"
            for file in sorted(self.mutants)
        ]
        entries = [
            "\n[[survivor]]\n"
            + "".join(
                f"{name} = {_text(value)}\n"
                for name, value in zip(
                    ("reason", "file", "scope", "before", "after"), (reason, *known), strict=True
                )
            )
            for known, reason in self.survivors.items()
        ]
        _replace(self.folder / "figures.toml", FIGURES_HEAD + "".join(lines))
        _replace(self.folder / "survivors.toml", SURVIVORS_HEAD + "".join(entries))

    def killed(self, file: str) -> int:
        """Return how many of a file's mutants a test notices."""
        return self.mutants[file] - sum(known[0] == file for known in self.survivors)

    def unexplained(self, files: Iterable[str]) -> list[Key]:
        wanted = set(files)
        return [x for x, reason in self.survivors.items() if x[0] in wanted and not reason]

    def todo(self, file: str, code: str, mutants: list[Mutant]) -> list[Mutant]:
        """Return those mutants of a file that are to be tried.

        All but the explained ones, or only the unexplained ones where the file is as it was.
        """
        if self.digests.get(file) == digest(code):
            return [mutant for mutant in mutants if self.survivors.get(key(mutant)) == ""]
        return [mutant for mutant in mutants if not self.survivors.get(key(mutant))]

    def done(self, file: str, code: str, mutants: list[Mutant], survived: list[Mutant]) -> None:
        """Note what became of a file whose mutants were all tried, and keep it."""
        explained = {x for x, reason in self.survivors.items() if reason}
        self.survivors = {
            x: reason for x, reason in self.survivors.items() if x[0] != file or x in explained
        } | {key(mutant): "" for mutant in survived}
        self.mutants[file], self.digests[file] = len(mutants), digest(code)
        self.write()


def digest(code: str) -> str:
    """Return a digest of what a file does: comments, docstrings and lines make no mutants."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [x for x in body if not _is_text(x)]  # type: ignore[attr-defined] # it has one
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text()) if path.exists() else {}


def _text(value: str) -> str:
    # JSON and TOML write texts alike, but for this character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)
