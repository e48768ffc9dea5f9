"""Add entries to a YAML file between marks, and leave every other byte of it as it is.

Whole lines are added, right below the line that opens their mapping:

    configs:
      # BEGIN registry-nodes 0123456789abcdef: ...
      registry.example.com:
        auth: ...
      # END registry-nodes

so removing them restores the file to the byte. The checksum tells whether anybody changed the lines
between the marks. A file that cannot be edited like this is refused.

Plain Python 3.9 and PyYAML.
"""

from __future__ import annotations

import hashlib
import re
import textwrap
from typing import Any, NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

MAX_LENGTH = 100_000
"""PyYAML takes up to 400 bytes of memory for a character; the pod has 128 MiB."""

_BLOCK = re.compile(
    r" *# BEGIN (?P<owner>\S+) (?P<checksum>[0-9a-f]{16})(?P<new>, new file)?: [^\r\n]*\r?\n"
    r"(?P<body>(?:[^\r\n]*\r?\n)*?) *# END (?P=owner)\r?\n"
)

_LINE_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""What PyYAML and k3s' parser take for a line break: https://yaml.org/spec/1.1/current.html#b-break"""

_BYTE_ORDER_MARK = "\ufeff"


class RefusedError(Exception):
    """The file cannot be edited; says why."""


class _Gap(NamedTuple):
    """Entries that are missing, and where their lines go."""

    offset: int
    indent: int
    entries: dict[str, Any]


def update(data: bytes | None, entries: dict[str, Any], owner: str) -> bytes | None:
    """Return a file with these entries, and without other entries of the same owner.

    What others wrote stays; what they wrote already is not added.

    Args:
        data: The file; None if there is none.
        entries: What the file must hold: mappings of mappings, with a text or a list of texts at
            the end of each path. Without any, the owner's entries are removed.
        owner: The name in the marks; a word.

    Returns:
        The new file; None if the owner's entries made it, and nothing else is left in it.

    Raises:
        RefusedError: Others contradict the entries, changed what is between the owner's marks, or
            wrote the file in a form that lines cannot be added to.
    """
    try:
        text = None if data is None else data.decode()
    except UnicodeDecodeError:
        raise RefusedError("it is not UTF-8") from None
    base = None if text is None else _remove(text, owner)
    if len(base or "") > MAX_LENGTH:
        raise RefusedError(f"it is longer than {MAX_LENGTH} characters")
    result = _add(base, entries, owner)
    # Others may have moved our lines, or written above them: no reason to write the file again.
    same = text is not None and _bodies(text, owner) == _bodies(result or "", owner)
    if same and _holds(text or "", entries):
        return data
    return None if result is None else result.encode()


def new_file(entries: dict[str, Any], owner: str) -> str:
    """Return what :func:`update` writes where there is no file."""
    return _block(entries, 0, owner, ", new file")


def _remove(text: str, owner: str) -> str | None:
    """Return the text without the owner's blocks; None if they made the file, and are all of it."""
    made_file = False

    def drop(block: re.Match[str]) -> str:
        nonlocal made_file
        if block["owner"] != owner:
            return block[0]
        if block["checksum"] != _checksum(block["body"]):
            raise changed
        made_file = made_file or block["new"] is not None
        return ""

    changed = RefusedError(
        f"the lines from `# BEGIN {owner}` to `# END {owner}` were changed: delete them, and they "
        "are written again; lines of your own go outside of them"
    )
    base = _BLOCK.sub(drop, text)
    if re.search(rf"# (BEGIN|END) {re.escape(owner)}\s", f"{base}\n"):
        raise changed
    return None if made_file and not base else base


def _add(base: str | None, entries: dict[str, Any], owner: str) -> str | None:
    """Return the text with all entries that are missing, in blocks."""
    if not entries:
        return base
    if base is None:
        return new_file(entries, owner)
    line_break = _LINE_BREAK.search(base)
    result = base
    # From the last one to the first, so that the offsets of the others stay right.
    for gap in reversed(_gaps(base, entries)):
        block = _block(gap.entries, gap.indent, owner)
        if line_break and line_break[0] == "\r\n":
            block = block.replace("\n", "\r\n")
        result = result[: gap.offset] + block + result[gap.offset :]
    if _foreign(result, owner) != _foreign(base, owner):
        raise RefusedError(
            "the mapping to add to is between another registry's marks: write the lines `mirrors:` "
            "and `configs:` above those, and its node configurator moves its entries there"
        )
    if _remove(result, owner) != base or not _holds(result, entries):
        raise RefusedError("it is written in a form that lines cannot be added to")
    return result


def _block(entries: dict[str, Any], indent: int, owner: str, note: str = "") -> str:
    """Return entries as lines between marks."""
    margin = " " * indent
    body = textwrap.indent(yaml.safe_dump(entries, sort_keys=False), margin)
    begin = f"# BEGIN {owner} {_checksum(body)}{note}: by Pulumi, yours go outside of the marks"
    return f"{margin}{begin}\n{body}{margin}# END {owner}\n"


def _checksum(body: str) -> str:
    """Return a checksum that does not depend on the kind of line breaks, which editors change."""
    return hashlib.sha256(body.replace("\r\n", "\n").encode()).hexdigest()[:16]


def _bodies(text: str, owner: str) -> list[str]:
    """Return what is between the owner's marks, wherever it is."""
    return sorted(
        textwrap.dedent(block["body"].replace("\r\n", "\n"))
        for block in _BLOCK.finditer(text)
        if block["owner"] == owner
    )


def _foreign(text: str, owner: str) -> list[str]:
    """Return the blocks of other owners."""
    return [block[0] for block in _BLOCK.finditer(text) if block["owner"] != owner]


def _holds(text: str, entries: dict[str, Any]) -> bool:
    try:
        return not _gaps(text, entries)
    except RefusedError:
        return False


def _gaps(text: str, entries: dict[str, Any]) -> list[_Gap]:
    """Return what is missing, in the order of the text.

    Raises:
        RefusedError: An entry has another value, or no line can be added for one.
    """
    try:
        document = _Document(text)
        root = document.get_single_node()
    except (yaml.YAMLError, RecursionError) as error:
        # Not the error's own text, which may quote a password.
        mark = getattr(error, "problem_mark", None)
        where = f": see line {mark.line + 1}, lines between our marks not counted" if mark else ""
        raise RefusedError(f"it cannot be read as one YAML document{where}") from None
    return document.gaps(root, entries, "", document.opening, 0)


class _Document(yaml.SafeLoader):
    """Parses a text, and keeps what the nodes do not say.

    Attributes:
        opening: The offset where the document's `---` ends; None without one.
        shared: The nodes that aliases stand for.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text
        self.opening: int | None = None
        self.shared: list[Node | None] = []

    def compose_document(self) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call] # its stub has no types
        self.opening = event.end_mark.index if event.explicit else None
        return super().compose_document()

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if alias:
            self.shared.append(node)
        return node

    def gaps(
        self,
        node: Node | None,
        entries: dict[str, Any],
        path: str,
        opening: int | None,
        indent: int,
    ) -> list[_Gap]:
        """Return what is missing in a mapping and in those below it.

        Args:
            node: The mapping; an empty value counts as one.
            entries: What it must hold.
            path: Its name in messages.
            opening: An offset in the line above its lines; None if they are the first ones.
            indent: The indentation of its keys if it has none yet.
        """
        pairs = _pairs(node, path)
        missing, below = dict(entries), []
        for key, value in entries.items():
            name = f"{path}.{key}".lstrip(".")
            matching = [pair for pair in pairs if pair[0].value == key]
            if len(matching) > 1:
                raise RefusedError(f"{name} is there twice: delete one of them")
            if not matching:
                continue
            del missing[key]
            ((there, child),) = matching
            if isinstance(value, dict):
                mark = there.start_mark
                below += self.gaps(child, value, name, there.end_mark.index, mark.column + 2)
            elif _plain(child) != value:
                raise RefusedError(f"{name} has another value: correct it, or delete it")
        if not missing:
            return below
        if pairs:
            indent = pairs[0][0].start_mark.column
        self._require_lines(node, path or "the file")
        return [_Gap(self._line_below(opening), indent, missing), *sorted(below)]

    def _require_lines(self, node: Node | None, name: str) -> None:
        """Raise RefusedError unless a line more is an entry more, of this mapping only."""
        if not isinstance(node, MappingNode):
            return
        if node.flow_style:
            how = "write it in block style" if node.value else "delete the braces"
            raise RefusedError(f"{name} is in flow style, in braces: {how}")
        if any(node is shared for shared in self.shared):
            raise RefusedError(f"{name} is also used by an alias: write it twice")
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise RefusedError(f"{name} has a merge key: write out what it merges")

    def _line_below(self, opening: int | None) -> int:
        """Return the offset of the line below the one with this offset."""
        if opening is None:
            return int(self.text.startswith(_BYTE_ORDER_MARK))
        line_break = _LINE_BREAK.search(self.text, opening)
        if line_break is None:
            raise RefusedError("its last line has no line break: add one")
        return line_break.end()


def _pairs(node: Node | None, name: str) -> list[tuple[Node, Node]]:
    """Return the entries of a mapping; an empty value has none."""
    if node is None or node.start_mark.index == node.end_mark.index:
        return []
    if not isinstance(node, MappingNode):
        raise RefusedError(f"{name or 'the file'} is not a mapping: delete what it holds instead")
    return list(node.value)


def _plain(node: Node) -> Any:  # noqa: ANN401 - a node's value is of any kind
    """Return a text or a list of texts as it is written: a password such as 0123 is no number."""
    return [item.value for item in node.value] if isinstance(node, SequenceNode) else node.value
