from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.cloud import delays as delays_module
from sandbox.cloud.api import Server
from sandbox.cloud.delays import Delays
from sandbox.cloud.keys import Keys
from tests.unit.sandbox.cloud.test_api import FULL, create, send
from tests.unit.sandbox.fakes import FakeIam


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, Callable[[], None]]]:
    """What is to be done after how many seconds."""
    actions: list[tuple[float, Callable[[], None]]] = []
    monkeypatch.setattr(delays_module, "_later", lambda *action: actions.append(action))
    return actions


Later = list[tuple[float, Callable[[], None]]]


def test_a_new_key_is_unknown_for_as_long_as_is_set(
    api: Server, iam: FakeIam, later: Later
) -> None:
    send(api, "POST", "/_control", {"key_delay": 20})
    access_key = create(api, grants=FULL)
    assert iam.statuses == {access_key: "Inactive"}
    ((seconds, end),) = later
    assert seconds == 20
    end()
    assert iam.statuses == {access_key: "Active"}


def test_a_space_is_unknown_once_it_has_got_its_key(
    api: Server, keys: Keys, spaces: Path, later: Later
) -> None:
    (spaces / "images").mkdir()
    (spaces / "other").mkdir()
    keys.block_deleted()
    send(api, "POST", "/_control", {"space_delay": 20})
    create(api)
    assert [path.name for path in spaces.iterdir()] == ["other"]
    keys.block_deleted()
    assert keys.blocked == [], "a Space that is unknown for now was not deleted"
    ((seconds, end),) = later
    assert seconds == 20
    end()
    assert sorted(path.name for path in spaces.iterdir()) == ["images", "other"]


def test_what_is_unknown_can_be_made_known_sooner(
    api: Server, iam: FakeIam, spaces: Path, later: Later
) -> None:
    (spaces / "images").mkdir()
    send(api, "POST", "/_control", {"key_delay": 20, "space_delay": 20})
    access_key = create(api)
    send(api, "POST", "/_control", {"known": True})
    assert (spaces / "images").exists()
    assert iam.statuses == {access_key: "Active"}
    iam.statuses.clear()
    for _, end in later:
        end()
    assert not iam.statuses, "there is nothing left to do"


def test_nothing_is_unknown_by_default(
    api: Server, iam: FakeIam, spaces: Path, later: Later
) -> None:
    (spaces / "images").mkdir()
    create(api)
    assert (later, iam.statuses) == ([], {})
    control = send(api, "GET", "/_control").body
    assert (control["key_delay"], control["space_delay"]) == (0, 0)


def test_spaces_are_the_folders_of_the_server(delays: Delays, spaces: Path) -> None:
    (spaces / "images").mkdir()
    (spaces / ".temporary").mkdir()
    assert delays.spaces() == {"images"}
