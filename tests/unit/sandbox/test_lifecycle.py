"""A sandbox is up or not, and does not start where it would cut off the machine's own network."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import lifecycle
from sandbox.build import image_store
from sandbox.enclosure import enclosure, hosts
from sandbox.kube_api import KubeApi
from sandbox.layout import Layout, Route, SandboxError
from sandbox.node import config


class Api:
    """An API server, with a response to each request."""

    def __init__(self, *responses: bool) -> None:
        self.responses = list(responses)

    def ready(self) -> bool:
        return self.responses.pop(0)


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Api, list[bool]], bool]:
    """Return a function that asks whether a sandbox is up, with marks as they are found."""

    def is_up(api: Api, marks: list[bool]) -> bool:
        monkeypatch.setattr(enclosure, "is_marked_ready", lambda _: marks.pop(0))
        monkeypatch.setattr(KubeApi, "of", lambda _: api)
        monkeypatch.setattr(lifecycle, "_ASK_EVERY", 0)
        return lifecycle.is_up(Layout(tmp_path, "sandbox", 7))

    return is_up


Ask = Callable[[Api, list[bool]], bool]


def test_a_sandbox_that_is_slow_to_respond_is_up(ask: Ask) -> None:
    assert ask(Api(False, False, True), [True] * 3)


def test_a_sandbox_that_ends_meanwhile_is_down(ask: Ask) -> None:
    api = Api(False, False)
    assert not ask(api, [True, True, False])
    assert not api.responses


def test_a_sandbox_that_was_never_ready_is_down_at_once(ask: Ask) -> None:
    assert not ask(Api(), [False])


def test_a_sandbox_that_does_not_respond_in_time_is_down(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "_RESPONDS_WITHIN", 0)
    api = Api(False, False)
    assert not ask(api, [True])
    assert api.responses == [False]


def test_a_subnet_that_another_route_overlaps_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = Route(ipaddress.IPv4Network("10.0.0.0/8"), "vpn")
    monkeypatch.setattr(lifecycle, "is_up", lambda _: False)
    monkeypatch.setattr(lifecycle, "down", lambda _: None)
    monkeypatch.setattr(lifecycle, "machine_routes", lambda: [route])
    with pytest.raises(SandboxError, match=r"overlaps 10\.0\.0\.0/8 on vpn: .*`make wipe`"):
        lifecycle.up(Layout(tmp_path, "sandbox", 7), [])
    assert not any(tmp_path.iterdir())


def test_what_is_stopped_leaves_no_name_in_the_hosts_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the machine would look for the registry where nothing is."""
    layout = Layout(tmp_path, "sandbox", 7)
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n")
    hosts.add(layout, path)
    monkeypatch.setattr(hosts.remove, "__defaults__", (path,))
    monkeypatch.setattr(enclosure, "stop", lambda _: None)
    lifecycle.down(layout)
    assert path.read_text() == "127.0.0.1 localhost\n"


@pytest.fixture
def changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what `up` does to the nodes of a sandbox that is up."""
    done: list[str] = []
    monkeypatch.setattr(lifecycle, "is_up", lambda _: True)
    monkeypatch.setattr(hosts, "add", lambda _: None)
    monkeypatch.setattr(enclosure, "find_init", lambda _: 0)
    monkeypatch.setattr(enclosure, "join", lambda *_: done.append("join"))
    monkeypatch.setattr(enclosure, "stop_node", lambda node: done.append(f"stop {node.name}"))
    monkeypatch.setattr(image_store, "link", lambda *_: None)
    monkeypatch.setattr(KubeApi, "of", lambda _: None)
    monkeypatch.setattr(lifecycle, "_wait", lambda *_: done.append("wait"))
    monkeypatch.setattr(lifecycle, "_kubectl", lambda _, *args: done.append(args[0]))
    layout = Layout(tmp_path, "sandbox", 7)
    config.write(layout)
    return done


def test_a_sandbox_has_the_second_node_that_it_had(
    tmp_path: Path, changes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path, "sandbox", 7)
    lifecycle.up(layout, [])
    assert changes == [], "nobody has asked for one"
    lifecycle.record_nodes(layout, 2)
    for _ in range(2):
        lifecycle.up(layout, [])
    joined = ["stop node-2", "join", "wait", "patch"]
    assert changes == joined * 2, "also one that was lost"
    monkeypatch.setattr(enclosure, "find_init", lambda _: 1)
    lifecycle.up(layout, [])
    assert changes == [*joined * 2, "wait", "patch"], "one that runs may not be ready yet"


def test_a_second_node_that_is_not_wanted_any_more_is_forgotten(
    tmp_path: Path, changes: list[str]
) -> None:
    layout = Layout(tmp_path, "sandbox", 7)
    layout.second_node.folder.mkdir()
    lifecycle.record_nodes(layout, 1)
    for _ in range(2):
        lifecycle.up(layout, [])
    assert changes == ["patch", "stop node-2", "delete", "delete"]
    assert not layout.second_node.folder.exists()
