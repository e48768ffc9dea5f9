"""What the program registers, as text: in full, or as the difference to another run."""

from __future__ import annotations

import difflib
import io
import math
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.unit.program.conftest import ROOT
from tests.unit.program.engine import Engine, Secret

Snapshot = dict[str, dict[str, str]]
"""The file of a golden to its entries: the key of each to its YAML."""

LINE = 80
"""Collections that fit into a line of so many characters are written in one."""

FILES = {
    path.read_text(): f"[contents of {path.parent.name}/{path.name}]"
    for folder in (*(ROOT / "scripts").iterdir(), Path(yaml.__file__).parent, ROOT / "page")
    for path in folder.iterdir()
    if path.suffix in {".py", ".js", ".css", ".html"}
}
"""Files that the program puts into ConfigMaps whole."""


class _Dumper(yaml.SafeDumper):
    """Writes texts as blocks, secrets with a tag, and short collections in one line."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the parent's signature
        return True

    def text(self, data: str) -> yaml.Node:
        data = FILES.get(data, data)
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    def secret(self, data: Secret) -> yaml.Node:
        node = self.represent_data(data.value)
        node.tag = "!secret"
        return node

    def represent_mapping(self, *args: Any, **kwargs: Any) -> yaml.MappingNode:
        node = super().represent_mapping(*args, **kwargs)
        node.flow_style = _length(node) < LINE
        return node

    def represent_sequence(self, *args: Any, **kwargs: Any) -> yaml.SequenceNode:
        node = super().represent_sequence(*args, **kwargs)
        scalars = all(isinstance(item, yaml.ScalarNode) for item in node.value)
        node.flow_style = _length(node) < LINE and (scalars or len(node.value) == 1)
        return node


_Dumper.add_representer(str, _Dumper.text)
_Dumper.add_representer(Secret, _Dumper.secret)


def _length(node: yaml.Node) -> float:
    """Return the length of a node in one line."""
    if isinstance(node, yaml.ScalarNode):
        return math.inf if node.style == "|" else len(node.value) + 2
    if isinstance(node, yaml.MappingNode):
        return sum(_length(key) + _length(value) for key, value in node.value)
    return sum(map(_length, node.value))


@cache
def snapshot(engine: Engine) -> Snapshot:
    """Return every URN with its options, and the inputs and outputs of every resource.

    Args:
        engine: What recorded a run.
    """
    files: dict[str, dict[str, Any]] = defaultdict(dict)
    for name, resource in sorted(engine.resources.items()):
        files["urns.yaml"][name] = {"urn": resource.urn} | resource.options
        if resource.outputs is None:
            files[f"{resource.options['parent']}.yaml"][name] = resource.marked
        else:
            files["outputs.yaml"][name] = resource.outputs
    files["outputs.yaml"] |= {"stack": engine.stack.outputs, "messages": engine.messages}
    return {
        file: {key: _entry(key, value) for key, value in entries.items()}
        for file, entries in files.items()
    }


_ENTRIES: dict[str, str] = {}
"""What a mode shares with the default is most of it, and need not be written again."""


def _entry(key: str, value: Any) -> str:
    content = f"{key} {value}"
    if content not in _ENTRIES:
        node = _Dumper(io.StringIO()).represent_dict({key: value})
        node.flow_style = False
        _ENTRIES[content] = yaml.serialize(node, Dumper=_Dumper, width=math.inf)
    return _ENTRIES[content]


def difference(base: Snapshot, other: Snapshot) -> str:
    """Return the lines by which one run differs from another.

    Args:
        base: The one.
        other: The other.
    """
    return "".join(
        f"# {file}: {key}\n{lines}\n"
        for file in sorted({*base, *other})
        for key in sorted({*base.get(file, {}), *other.get(file, {})})
        if (lines := "".join(_changes(base, other, file, key)))
    )


def _changes(base: Snapshot, other: Snapshot, file: str, key: str) -> Iterator[str]:
    before, after = (run.get(file, {}).get(key, "").splitlines(True) for run in (base, other))
    for line in list(difflib.unified_diff(before, after, n=2))[2:]:
        # Line numbers would change with each change further up.
        yield "...\n" if line.startswith("@@") else line
