"""Copy the registry's bucket to another one, which a registry can serve when the first is lost.

It runs in a CronJob, and fails unless the copy is good: each tag names what it names in the bucket,
with all that it needs. Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import argparse
import resource
import secrets
import sys
from pathlib import Path
from typing import Any

from scripts.maintenance import backup_record, fuse
from scripts.maintenance.backup_record import COPY_KEY, Record
from scripts.maintenance.copy_images import Copy
from scripts.maintenance.keys import OWN
from scripts.maintenance.references import References
from scripts.maintenance.remembered import day, read, write
from scripts.maintenance.state import State, Sums
from scripts.maintenance.usage import formatted
from scripts.shared.objects import Objects, StorageError
from scripts.shared.storage_arguments import add_arguments, objects_in, objects_of

MARKER = "backup/source.json"
"""What says of which bucket the target is a copy."""

TAGS = "backup/tags/"
"""What all tags named: an object for each day, as an overwritten tag names only what is new."""


def require_own(source: Objects, target: Objects) -> None:
    """Refuse a target that is not this source's copy, or empty; then it becomes its copy.

    Raises:
        StorageError: What is there is another's, or the target is the source.
    """
    if served := next(target.list(OWN), None):
        raise StorageError(
            f"{target.place} is no copy any more: a registry works on it, as {served.key} shows; "
            "fix: an empty folder or bucket for the copy"
        )
    mark = read(target, MARKER, _mark, "what is in this folder counts as this registry's copy")
    if mark is None:
        # Whoever has deleted the mark wants this source to go on with the copy.
        other = None if target.head(COPY_KEY) else next(target.list(""), None)
        if other:
            raise StorageError(
                f"{target.place} holds what is no copy: {other.key}; fix: an empty folder or "
                "bucket for the copy"
            )
        mark = source.place, secrets.token_hex(16)
        write(target, MARKER, mark)
    if mark[0] != source.place:
        raise StorageError(
            f"{target.place} is a copy of {mark[0]}, not of {source.place}; fix: an empty folder "
            f"or bucket for the copy; or, if the images have moved, delete {MARKER} in that folder"
        )
    # A registry that serves a copy has the mark of that one.
    if read(source, MARKER, _mark, "nothing is lost") == mark:
        target.delete(MARKER)
        raise StorageError(f"{target.place} is the registry's own storage; fix: another bucket")


def _mark(values: Any) -> tuple[str, str]:  # noqa: ANN401 - any JSON
    place, random = values
    return str(place), str(random)


def back_up(source: Objects, target: Objects, within: float) -> list[str]:
    """Make a copy, print what was done, and return why it is not good; nothing if it is.

    Args:
        within: For how many seconds it may be the last good one.

    Raises:
        StorageError: A storage fails, or the target is not the place for a copy.
    """
    require_own(source, target)
    before = backup_record.load(target, COPY_KEY)
    references, state = References(source), State()
    copy = _copy(source, target, references, state)
    if copy.problems:
        # What it has listed takes as much memory as what is listed again.
        del copy
        # A push or a delete in the middle of a list looks like a loss, until then.
        copy = _copy(source, target, references, state)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(copy.walk.blobs)} blobs took {memory} MiB")
    now = fuse.sums(copy.walk)
    problems = copy.problems
    gone = max(0, before.tags - now.tags) if before else 0
    if before and (fuse.blows(Sums(gone), Sums(before.tags)) or (gone and not now.tags)):
        problems.append(
            f"{gone} of {before.tags} tags are gone since the last good copy, which still has "
            f"them; if that is right, delete {COPY_KEY} in {target.place}"
        )
    if not problems:
        time = copy.walk.now
        names = {
            name: {tag: named.digest for tag, named in sorted(repository.tags.items())}
            for name, repository in sorted(copy.walk.repositories.items())
            if repository.tags
        }
        write(target, f"{TAGS}{day(time)}.json", names)
        record = Record(time, now.tags, now.blobs, now.size, target.place, within)
        for objects, key in ((target, COPY_KEY), (source, backup_record.KEY)):
            write(objects, key, record._asdict())
        print(record.words(source.now))
    return problems


def _copy(source: Objects, target: Objects, references: References, state: State) -> Copy:
    copy = Copy(source, target, references, state)
    print(f"written: {len(copy.written)} blobs, {formatted(sum(copy.written))}", flush=True)
    return copy


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Copy the registry's bucket to another one.",
        epilog="Exits with 1 if the copy is not good.",
    )
    add_arguments(parser)
    parser.add_argument("--target", required=True, type=Path, help="the other one's connection")
    parser.add_argument("--within-days", required=True, type=int, help="how old a copy may be")
    args = parser.parse_args()
    try:
        with objects_of(args) as source, objects_in(args.target) as target:
            problems = back_up(source, target, args.within_days * 86400)
    except (StorageError, OSError) as error:
        problems = [str(error)]
    for problem in problems:
        print(f"FAILED: {problem}", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
