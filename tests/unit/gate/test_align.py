"""Kubernetes and CoreDNS are built with the same versions of what they share."""

from __future__ import annotations

import pytest

from sandbox.build.pinned_tools import SOURCES, TOOLS, pinned
from tests.gate.align import SHARING, behind, order, read, required, too_far


def test_what_they_share_has_one_version() -> None:
    """Else Go compiles hundreds of packages twice; to raise them: make align."""
    assert behind(read()) == {}


def test_all_that_is_required_is_read() -> None:
    for tool, module in SHARING.items():
        assert read()[tool][module] == f"v{pinned(SOURCES / tool, module)}"
    replaced = "require a.test/one v1.2.3\n\nreplace (\n\tb.test/two => c.test/three v1.0.0\n)\n"
    assert required(replaced) == {"a.test/one": "v1.2.3"}


@pytest.mark.parametrize("tool", ["registry", "caddy"])
def test_what_users_run_is_built_as_it_was_released(tool: str) -> None:
    """Their images link what their go.mod files say."""
    assert tool in {x.name for x in TOOLS}
    assert tool not in SHARING


def test_only_what_is_older_elsewhere_is_raised() -> None:
    tools = {"a": {"x": "v0.9.0", "y": "v1.0.0"}, "b": {"x": "v0.10.0"}, "c": {"z": "v1.0.0"}}
    assert behind(tools) == {"a": ["x@v0.10.0"]}


def test_versions_are_in_the_order_of_semver() -> None:
    versions = ["v0.9.0", "v0.10.0-rc.1", "v0.10.0", "v1.2.3", "v29.0.4+incompatible"]
    assert sorted({*versions}, key=order) == versions


@pytest.mark.parametrize(
    ("module", "released", "built", "refused"),
    [
        ("example.com/a", "v1.2.0", "v1.9.0", False),
        ("example.com/a", "v0.2.0", "v1.0.0", True),
        ("k8s.io/client-go", "v0.36.3", "v0.37.2", False),
        ("k8s.io/client-go", "v0.33.3", "v0.37.2", True),
        ("k8s.io/client-go", "v0.0.0", "v0.37.2", False),
    ],
)
def test_a_tool_is_not_built_with_what_may_behave_differently(
    module: str, released: str, built: str, refused: bool
) -> None:
    assert bool([*too_far({module: released}, {module: built})]) == refused
