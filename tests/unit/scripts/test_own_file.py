"""Files of ours are replaced and removed; what somebody else wrote stays as it is."""

from __future__ import annotations

import pytest
import yaml

from scripts.nodes.own_file import RefusedError, new_file, update
from tests.unit.scripts.nodes import ENTRIES, OPERATORS, OWNER, WANTED

OTHER = new_file({"configs": {"b.example.com": {}}}, OWNER).encode()


def test_a_file_is_made_replaced_and_removed() -> None:
    assert yaml.safe_load(WANTED) == ENTRIES
    assert update(None, WANTED, OWNER) == WANTED
    assert update(WANTED, WANTED, OWNER) == WANTED
    assert update(OTHER, WANTED, OWNER) == WANTED, "as with a new password"
    assert update(WANTED, None, OWNER) is None
    assert update(None, None, OWNER) is None


def test_a_line_more_as_a_shell_prints_it_is_no_change() -> None:
    assert update(WANTED + b"\n", WANTED, OWNER) == WANTED + b"\n", "or k3s would restart for it"
    assert update(OTHER + b"\n", WANTED, OWNER) == WANTED
    assert update(WANTED + b"\n", None, OWNER) is None


@pytest.mark.parametrize("name", OPERATORS)
def test_what_somebody_else_wrote_is_refused_and_can_be_left(name: str) -> None:
    with pytest.raises(RefusedError, match="somebody else wrote or changed it, and k3s reads no"):
        update(OPERATORS[name], WANTED, OWNER)
    assert update(OPERATORS[name], None, OWNER) == OPERATORS[name]


@pytest.mark.parametrize("change", [b"", b"# mine\n", b"mirrors: {}\n"])
def test_a_file_of_ours_that_somebody_changed_is_theirs(change: bytes) -> None:
    """Or their lines are lost with the next password."""
    changed = OTHER.replace(b"b.example.com", b"c.example.com") + change
    with pytest.raises(RefusedError, match="somebody else wrote or changed it"):
        update(changed, WANTED, OWNER)
    with pytest.raises(RefusedError, match="somebody changed it"):
        update(changed, None, OWNER)


@pytest.mark.parametrize(
    "text",
    [
        WANTED + b"# mine\n",
        WANTED.partition(b"\n")[2],
        yaml.safe_dump({**ENTRIES, "mirrors": {**ENTRIES["mirrors"], "quay.io": None}}).encode(),
        b"x: &tls {cert_file: /etc/ssl/node.pem, ca_file: /etc/ssl/ca.pem}\n"
        b"mirrors: {example.com: {endpoint: ['https://registry.example.com'], rewrite: {a: b}}}\n"
        b"configs:\n  registry.example.com:\n    auth: {password: '0123', username: pull}\n"
        b"    tls: *tls\n",
    ],
)
def test_a_file_of_theirs_that_has_all_of_it_will_do(text: bytes) -> None:
    assert update(text, WANTED, OWNER) == text


@pytest.mark.parametrize("text", [b"", b"\n", b"  \r\n"])
def test_an_empty_file_is_nobodys(text: bytes) -> None:
    assert update(text, WANTED, OWNER) == WANTED
    assert update(text, None, OWNER) == text
