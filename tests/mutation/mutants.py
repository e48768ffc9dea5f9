"""The mutants of a file: mutmut's operators, applied to module and class level code too.

mutmut's own runner mutates functions only; in this program settings, types and `__main__.py` are
outside of them. https://mutmut.readthedocs.io/
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper
from mutmut.mutation.mutators import mutation_operators

HELP = ("description", "epilog", "help", "metavar")
"""The arguments of `argparse` that are words for people."""

SENTENCE = 4
"""Words that a string has at least which is a sentence for people."""

SCOPES = (cst.ClassDef, cst.FunctionDef)


@dataclass(frozen=True)
class Mutant:
    """A file with one change.

    Attributes:
        file: Its path in the repository.
        scope: The class and function that the change is in.
        before: The lines that the change replaces, in one line.
        after: What it replaces them by.
        lines: The numbers of the lines of the statement that it changes.
        function: The outermost function whose body it changes, as `Class.method`; empty for what
            runs when the file is imported.
        code: The whole file after the change.
    """

    file: str
    scope: str
    before: str
    after: str
    lines: range
    function: str
    code: str


def mutants(file: str, code: str) -> Iterator[Mutant]:
    """Yield the mutants of a file.

    Args:
        file: Its path in the repository.
        code: What is in it.
    """
    wrapper = MetadataWrapper(cst.parse_module(code))
    module, spans = wrapper.module, wrapper.resolve(ByteSpanPositionProvider)
    text = code.encode()
    for scope, function, statement, node, changed in _changes(module, (), "", None):
        start, end = spans[node].start, spans[node].start + spans[node].length
        mutated = text[:start] + module.code_for_node(changed).encode() + text[end:]
        if isinstance(node, cst.Match):  # Its lines have an indentation, which only a module knows.
            mutated = module.deep_replace(node, changed).code.encode()
        whole = spans[statement or node]
        first = text.count(b"\n", 0, whole.start) + 1
        last = text.count(b"\n", 0, whole.start + whole.length) + 1
        before, after = _changed_lines(code, mutated.decode())
        yield Mutant(
            file=file,
            scope=".".join(scope),
            before=before,
            after=after,
            lines=range(first, last + 1),
            function=function,
            code=mutated.decode(),
        )


def _changes(
    node: Any, scope: tuple[str, ...], function: str, statement: Any
) -> Iterator[tuple[tuple[str, ...], str, Any, Any, Any]]:
    if isinstance(node, cst.Import | cst.ImportFrom | cst.Decorator):
        return
    if isinstance(node, cst.Annotation):
        # Types are mypy's matter, but pydantic reads the constraints in them.
        for call in m.findall(node, m.Call()):
            yield from _changes(call, scope, function, statement)
        return
    if isinstance(node, cst.Arg) and _is_help(node):
        return
    if isinstance(node, cst.SimpleStatementLine):
        statement = node
    if m.matches(node, m.Assign(targets=[m.AssignTarget(m.Name("__all__"))])):
        return  # For imports of everything, which there are none of.
    if isinstance(node, SCOPES):
        scope = (*scope, node.name.value)
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            for changed in _useful(node, list(operator(node))):
                yield scope, function, statement, node, changed
    for child in node.children:
        body = isinstance(node, cst.FunctionDef) and child is node.body
        yield from _changes(child, scope, function or ".".join(scope) * body, statement)


def _useful(node: Any, changed: list[Any]) -> list[Any]:
    """Leave out the mutants that show no more than others do."""
    if isinstance(node, cst.SimpleString):
        # The others are the same string in upper and in lower case.
        return changed[:1] if len(node.value.split()) < SENTENCE else []
    if isinstance(node, cst.Call):
        # A call without an argument mostly fails at once; with None in its place it need not.
        return [
            call
            for call in changed
            if len(call.args) == len(node.args)
            and not any(
                (_is_literal(old.value) or _is_help(old)) and not old.deep_equals(new)
                for old, new in zip(node.args, call.args, strict=True)
            )
        ]
    if isinstance(node, cst.Assign | cst.AnnAssign) and _is_literal(node.value):
        return []
    return changed


def _is_help(argument: cst.Arg) -> bool:
    return argument.keyword is not None and argument.keyword.value in HELP


def _is_literal(value: Any) -> bool:
    """Return whether a value has a mutant itself, of its own type: None shows no more than that."""
    return any(
        isinstance(value, kind) and any(operator(value))
        for kind, operator in mutation_operators
        if kind in (cst.BaseNumber, cst.BaseString, cst.Name)
    )


def _changed_lines(before: str, after: str) -> tuple[str, str]:
    old, new = ([line.strip() for line in text.splitlines()] for text in (before, after))
    difference = list(difflib.unified_diff(old, new, n=0))[2:]
    removed, added = (
        " ".join(line[1:] for line in difference if line.startswith(sign)) for sign in "-+"
    )
    return removed, added
