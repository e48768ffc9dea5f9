"""Entries between marks: everything else stays to the byte."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from scripts.nodes.marked_yaml import MAX_LENGTH, RefusedError, new_file, update
from tests.unit.scripts.odd_files import EDITED, ENTRIES, EVERYDAY, REFUSED

OWNER = "registry-nodes"
OURS = re.compile(rf" *# BEGIN {OWNER} .*?# END {OWNER}\r?\n", re.DOTALL)


def edit(data: bytes | None, entries: dict[str, Any] = ENTRIES, owner: str = OWNER) -> bytes:
    result = update(data, entries, owner)
    assert result is not None
    return result


def content(text: str, *, without_ours: bool = False) -> Any:
    """Return what a parser sees, as texts and pairs: `0123` is no number, and keys may be twice."""
    marks = [block.span() for block in OURS.finditer(text)] if without_ours else []

    def plain(node: Node | None) -> Any:
        if isinstance(node, MappingNode):
            pairs = [
                (plain(key), plain(value))
                for key, value in node.value
                if not any(start <= key.start_mark.index < end for start, end in marks)
            ]
            return pairs or None
        if isinstance(node, SequenceNode):
            return [plain(item) for item in node.value]
        return (node.value or None) if node else None

    return plain(yaml.compose(text, yaml.SafeLoader))


def holds(pairs: Any, entries: Any) -> bool:
    """Return whether entries are in a content, each once."""
    if not isinstance(entries, dict):
        return bool(pairs == entries)
    return all(
        len(found := [value for name, value in pairs if name == key]) == 1
        and holds(found[0], inner)
        for key, inner in entries.items()
    )


@pytest.mark.parametrize("name", EDITED)
def test_entries_are_added_and_everything_else_stays_to_the_byte(name: str) -> None:
    data = EDITED[name]
    result = edit(data)
    assert OURS.sub("", result.decode()).encode() == data, "bytes outside of the marks"
    assert holds(content(result.decode()), ENTRIES)
    assert content(result.decode(), without_ours=True) == content(data.decode())


@pytest.mark.parametrize("name", EDITED)
def test_a_second_run_changes_nothing_and_removal_restores_every_byte(name: str) -> None:
    result = edit(EDITED[name])
    assert update(result, ENTRIES, OWNER) == result
    assert update(result, {}, OWNER) == EDITED[name]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_edited_is_refused_with_the_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(RefusedError, match=re.escape(reason)) as refused:
        update(data, ENTRIES, OWNER)
    assert "s3cr3t" not in str(refused.value), "there may be a password in that line"


@pytest.mark.parametrize("name", ["no mapping", "flow style", "a tab", "an air gap", "an alias"])
def test_what_cannot_be_edited_can_be_left(name: str) -> None:
    data, _ = REFUSED[name]
    assert update(data, {}, OWNER) == data, "there is nothing of ours to remove"


def test_a_file_is_made_and_removed_again() -> None:
    made = edit(None)
    assert made.decode() == new_file(ENTRIES, OWNER)
    assert yaml.safe_load(made) == ENTRIES
    assert update(None, {}, OWNER) is None
    assert update(made, {}, OWNER) is None, "there was none before"
    changed = edit(made, {"configs": ENTRIES["configs"]})
    assert yaml.safe_load(changed) == {"configs": ENTRIES["configs"]}
    assert update(changed, {}, OWNER) is None, "nor is it somebody else's after a change"


def test_a_file_that_we_made_stays_if_others_wrote_into_it() -> None:
    theirs = edit(None) + b"# theirs\n"
    assert edit(theirs) == theirs
    assert update(theirs, {}, OWNER) == b"# theirs\n"
    assert update(edit(b""), {}, OWNER) == b"", "an empty file is one"


def test_lines_go_right_below_their_mapping() -> None:
    theirs = b"""\
# ours since 2023
mirrors:
    # the office
    quay.io: {}
configs:
  registry.example.com:
    tls:
        cert_file: /etc/ssl/node.pem"""
    assert (
        edit(theirs).decode()
        == """\
# ours since 2023
mirrors:
    # BEGIN registry-nodes c60db3cf4a28e8c2: by Pulumi, yours go outside of the marks
    example.com:
      endpoint:
      - https://registry.example.com
    # END registry-nodes
    # the office
    quay.io: {}
configs:
  registry.example.com:
    # BEGIN registry-nodes 0db7c131606b2fa5: by Pulumi, yours go outside of the marks
    auth:
      username: pull
      password: '0123'
    # END registry-nodes
    tls:
        # BEGIN registry-nodes 88849bd33e81acd4: by Pulumi, yours go outside of the marks
        ca_file: /etc/ssl/ca.pem
        # END registry-nodes
        cert_file: /etc/ssl/node.pem"""
    )


def test_line_breaks_are_those_of_the_file() -> None:
    result = edit(EVERYDAY.replace("\n", "\r\n").encode())
    assert b"\n" not in result.replace(b"\r\n", b"")


def test_what_is_no_longer_wanted_goes_and_what_is_new_comes() -> None:
    before = edit(EVERYDAY.encode())
    entries = {
        "mirrors": {"new.example.com": {"endpoint": ["https://new.example.net"]}},
        "configs": {"new.example.net": {"auth": {"username": "pull", "password": "new"}}},
    }
    after = edit(before, entries)
    assert after == edit(EVERYDAY.encode(), entries), "as if the first ones had never been there"
    assert b"registry.example.com:" not in after
    assert b"ghcr.io:" in after, "a mirror that leads to the registry, but is somebody else's"


@pytest.mark.parametrize("name", ["the same login, as a number", "the same mirror"])
def test_what_others_wrote_already_is_not_written_again(name: str) -> None:
    entries = yaml.load(EDITED[name], yaml.BaseLoader)  # noqa: S506 - makes texts only
    assert edit(EDITED[name], entries) == EDITED[name]


def test_our_own_lines_may_be_moved_and_written_around() -> None:
    ours = edit(b"")
    moved = b"# theirs\n\n" + ours.replace(b"\n", b"\r\n") + b"x: y\r\n"
    assert edit(moved) == moved, "or k3s would restart for a comment"


def test_our_lines_move_into_a_mapping_that_others_write() -> None:
    result = edit(edit(b"") + b"configs:\n  a: {}\n")
    assert result == edit(b"configs:\n  a: {}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    tls:\n", "    tls:\n      cert_file: /etc/ssl/node.pem\n"),
        ("username: pull", "username: other"),
        ("# END registry-nodes\n", ""),
        ("# BEGIN registry-nodes", "# START"),
        ("# END registry-nodes\n", "# END registry-nodes\n# END registry-nodes"),
        ("mirrors:\n", "mirrors:\n# BEGIN registry-nodes\n"),
    ],
)
def test_lines_that_others_wrote_between_the_marks_are_not_lost(old: str, new: str) -> None:
    changed = edit(b"").decode().replace(old, new).encode()
    for entries in ENTRIES, {}:
        with pytest.raises(RefusedError, match="to `# END registry-nodes` were changed: delete"):
            update(changed, entries, OWNER)


def test_two_registries_have_their_lines_side_by_side() -> None:
    other = {"configs": {"b.example.com": {"auth": {"username": "pull", "password": "b"}}}}
    base = b"mirrors:\nconfigs:\n"
    both = edit(edit(base), other, "registry-nodes-2")
    assert holds(content(both.decode()), ENTRIES)
    assert holds(content(both.decode()), other)
    assert edit(both) == both
    assert update(update(both, {}, OWNER), {}, "registry-nodes-2") == base


def test_the_lines_of_another_registry_are_not_written_into() -> None:
    other = {"configs": {"b.example.com": {"auth": {"username": "pull", "password": "b"}}}}
    with pytest.raises(RefusedError, match="between another registry's marks"):
        update(edit(None), other, "registry-nodes-2")


def test_a_file_of_the_largest_size_is_edited() -> None:
    data = b"#".ljust(MAX_LENGTH, b"x")
    assert update(edit(data), {}, OWNER) == data
