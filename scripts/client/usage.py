"""Show what the registry's bucket holds: bytes by repository, and what they cost.

    python3 -m scripts.client.usage

It only reads. Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import argparse
import sys

from scripts.maintenance.references import References
from scripts.maintenance.usage import table, usage
from scripts.maintenance.walk import Walk
from scripts.shared.objects import StorageError
from scripts.shared.storage_arguments import add_arguments, objects_of


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description="Show what the registry's bucket holds.")
    add_arguments(parser)
    try:
        with objects_of(parser.parse_args()) as objects:
            print(table(usage(Walk(objects, References(objects)))))
    except (StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
