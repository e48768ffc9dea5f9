"""Interrupt the first update, an update and a destroy after every resource: `make faults`.

It starts a sandbox of its own, and wipes it; about an hour.
"""

from __future__ import annotations

import sys
import time

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


def main() -> int:
    """Run all; return the exit status."""
    failures = 0
    assert cli("wipe", NAME).returncode == 0
    up = cli("up", NAME)
    assert up.returncode == 0, up.stdout[-5000:]
    sandbox = Sandbox(lifecycle.claim(ROOT, NAME), up.stdout)
    try:
        with interrupted.killed_stack(sandbox) as stack:
            for interrupt, before in BEFORE.items():
                number, killed = 0, True
                while killed:
                    number += 1
                    start = time.monotonic()
                    try:
                        stack.pulumi(before, "--yes", "--skip-preview")
                        killed, result = interrupt(stack, number), "repaired"
                    except AssertionError as error:
                        failures += 1
                        result = f"FAILED: {error}"
                    seconds = time.monotonic() - start
                    print(f"{interrupt.__name__} {number}: {result}, {seconds:.0f} s", flush=True)
    finally:
        assert cli("wipe", NAME).returncode == 0
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
