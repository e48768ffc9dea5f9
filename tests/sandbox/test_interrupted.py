"""A sample of `make faults`: the engine is killed, and the documented commands repair the stack."""

from __future__ import annotations

from tests.faults import interrupted
from tests.sandbox.helpers import Sandbox


def test_a_first_up_an_update_and_a_destroy_that_are_killed_are_repaired(sandbox: Sandbox) -> None:
    with interrupted.killed_stack(sandbox) as stack:
        assert interrupted.first_up(stack, 20)
        assert interrupted.update(stack, 3)
        assert interrupted.destroy(stack, 12)
