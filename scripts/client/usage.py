"""Show what the registry's bucket holds: bytes by repository, and what they cost.

    python3 -m scripts.client.usage
    python3 -m scripts.client.usage --chart usage.svg

It only reads. Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from scripts.maintenance import backup_record, usage_history
from scripts.maintenance.caches import held
from scripts.maintenance.references import References
from scripts.maintenance.usage import table, usage
from scripts.maintenance.usage_chart import chart
from scripts.maintenance.walk import Walk
from scripts.shared.objects import Objects, StorageError
from scripts.shared.storage_arguments import add_arguments, objects_of


def draw(objects: Objects, file: Path) -> str:
    """Write a chart of past days, and return what was done.

    Raises:
        StorageError: There are none yet.
    """
    history = usage_history.load(objects)
    if not history:
        raise StorageError("there is no usage yet; the maintenance notes it when it runs")
    file.write_text(chart(history))
    return f"{file}: days with a usage: {len(history)}"


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description="Show what the registry's bucket holds.")
    add_arguments(parser)
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw past days in SVG instead")
    args = parser.parse_args()
    try:
        with objects_of(args) as objects:
            if args.chart:
                print(draw(objects, args.chart))
            else:
                print(table(usage(Walk(objects, References(objects)), held(objects))))
                if record := backup_record.load(objects):
                    print(f"\n{record.words(objects.now)}")
    except (StorageError, OSError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
