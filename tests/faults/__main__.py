"""Interrupt the first update, an update and a destroy after every resource: `make faults`.

It starts a sandbox of its own, and wipes it; an hour and a half.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox import lifecycle
from tests.faults import interrupted
from tests.sandbox.helpers import ROOT, Sandbox, cli

NAME = "sandbox-faults"

BEFORE = {
    interrupted.first_up: "destroy",
    interrupted.update: "up",
    interrupted.destroy: "up",
}
"""What is interrupted, and the command that comes before."""


MAX_FAILURES = 10
"""After so many, more say nothing new."""


def main() -> int:
    """Run all; return the exit status."""
    failures = 0
    for interrupt, before in BEFORE.items():
        number, killed = 0, True
        while killed and failures < MAX_FAILURES:
            try:
                with fresh_stack() as stack:
                    while killed:
                        number += 1
                        start = time.monotonic()
                        stack.pulumi(before, "--yes", "--skip-preview")
                        killed = interrupt(stack, number)
                        seconds = time.monotonic() - start
                        print(f"{interrupt.__name__} {number}: {seconds:.0f} s", flush=True)
            except AssertionError as error:
                failures += 1
                print(f"{interrupt.__name__} {number}: FAILED: {error}", flush=True)
    assert cli("wipe", NAME).returncode == 0
    return 1 if failures else 0


@contextmanager
def fresh_stack() -> Iterator[Sandbox]:
    """Create a stack in a fresh sandbox: one that was not repaired says nothing of the next."""
    assert cli("wipe", NAME).returncode == 0
    up = cli("up", NAME)
    assert up.returncode == 0, up.stdout[-5000:]
    with interrupted.killed_stack(Sandbox(lifecycle.claim(ROOT, NAME), up.stdout)) as stack:
        yield stack


if __name__ == "__main__":
    sys.exit(main())
