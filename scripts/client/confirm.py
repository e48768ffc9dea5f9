"""Confirm that a run of the maintenance may delete as much as it has stopped for.

python3 -m scripts.client.confirm
"""

from __future__ import annotations

import argparse
import sys

from scripts.maintenance import fuse
from scripts.maintenance.remembered import date
from scripts.maintenance.state import load
from scripts.shared.objects import StorageError
from scripts.shared.storage_arguments import add_arguments, objects_of


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Confirm what the last run of the maintenance has stopped for.",
        epilog="Exits with 1 if nothing was confirmed.",
    )
    add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    args = parser.parse_args()
    try:
        with objects_of(args) as objects:
            state = load(objects)
            if not state.stopped:
                print("nothing is to be confirmed: the last run has not stopped for anything")
                return 1
            print(f"the run of {date(state.clock.now)} has stopped: {state.stopped.why}")
            print("what is gone: python3 -m scripts.client.restore; what would go: the run's log")
            if not args.yes and not _agrees():
                print("nothing was confirmed; to confirm it without being asked: --yes")
                return 1
            until = fuse.confirm(objects, state.stopped)
    except (StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1
    print(f"confirmed: until {date(until)} so much may go, and a tenth more; the next run goes on")
    return 0


def _agrees() -> bool:
    print("if that is right, enter yes: ", end="", flush=True)
    return sys.stdin.readline().strip() == "yes"


if __name__ == "__main__":
    sys.exit(main())
