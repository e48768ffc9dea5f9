"""A sample of `make faults`: the engine is killed, and the documented commands repair the stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults import interrupted
from tests.sandbox.helpers import Sandbox


@pytest.fixture(scope="module")
def stack(sandbox: Sandbox) -> Iterator[Sandbox]:
    with interrupted.killed_stack(sandbox) as stack:
        yield stack


@pytest.mark.parametrize("number", [8, 20])
def test_a_first_up_that_is_killed_is_repaired(stack: Sandbox, number: int) -> None:
    assert interrupted.first_up(stack, number)


def test_an_update_and_a_destroy_that_are_killed_are_repaired(stack: Sandbox) -> None:
    stack.pulumi("up", "--yes", "--skip-preview")
    assert interrupted.update(stack, 3)
    assert interrupted.destroy(stack, 12)
