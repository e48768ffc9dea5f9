"""What the registry's bucket holds: bytes by repository, and what they cost.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from scripts.maintenance.images import tagged
from scripts.maintenance.walk import Walk

GIB = 2**30

NO_CACHES: Mapping[str, int] = MappingProxyType({})

SPACES_USD, SPACES_GIB, GIB_USD = 5.0, 250, 0.02
"""What all Spaces of an account cost a month, what is included, and each GiB more:
https://docs.digitalocean.com/products/spaces/details/pricing/"""

MANAGED_USD, MANAGED_GIB = 5.0, 5
"""What DigitalOcean's managed registry costs in its plan Basic, and the GiB that are included; each
more costs what Spaces' do: https://docs.digitalocean.com/products/container-registry/details/pricing/
"""


class Row(NamedTuple):
    """What one repository holds.

    Attributes:
        name: The repository.
        tags: How many tags it has.
        manifests: How many manifests and indexes it has.
        own: Bytes that only it needs.
        shared: Bytes that others need, too.
        untagged: Bytes of both that no tag in any repository holds.
    """

    name: str
    tags: int
    manifests: int
    own: int
    shared: int
    untagged: int


class Usage(NamedTuple):
    """What the bucket holds.

    Attributes:
        rows: The repositories, those that need the most first.
        shared: Bytes that several repositories need, each counted once.
        unneeded: Bytes that no manifest needs.
        copies: Bytes of copies of deleted blobs.
        caches: Bytes of each cache of another registry, by its name.
    """

    rows: Sequence[Row]
    shared: int
    unneeded: int
    copies: int
    caches: Mapping[str, int] = NO_CACHES

    @property
    def total(self) -> int:
        """All bytes."""
        return self.stored + self.unneeded + self.copies + sum(self.caches.values())

    @property
    def stored(self) -> int:
        """Bytes that images need."""
        return self.shared + sum(row.own for row in self.rows)


def usage(walk: Walk, caches: Mapping[str, int] = NO_CACHES) -> Usage:
    """Count what each repository needs."""
    times: dict[str, int] = dict.fromkeys(walk.blobs, 0)
    held: set[str] = set()
    repositories = {name: x for name, x in walk.repositories.items() if x.revisions}
    for name, repository in repositories.items():
        held |= needs(walk, tagged(name, walk))
        for digest in needs(walk, repository.revisions):
            times[digest] += 1
    rows = []
    # Again, rather than all at once: that would be the most memory that a run takes.
    for name, repository in repositories.items():
        needed = needs(walk, repository.revisions)
        rows.append(
            Row(
                name,
                tags=len(repository.tags),
                manifests=len(repository.revisions),
                own=sum(walk.blobs[x] for x in needed if times[x] == 1),
                shared=sum(walk.blobs[x] for x in needed if times[x] > 1),
                untagged=sum(walk.blobs[x] for x in needed - held),
            )
        )
    return Usage(
        rows=sorted(rows, key=lambda row: (-row.own - row.shared, row.name)),
        shared=sum(size for digest, size in walk.blobs.items() if times[digest] > 1),
        unneeded=sum(size for digest, size in walk.blobs.items() if not times[digest]),
        copies=sum(entry.size for entry in walk.swept.values()),
        caches=caches,
    )


def needs(walk: Walk, manifests: Iterable[str]) -> set[str]:
    """Return manifests that are in the bucket, and what they refer to and is."""
    needed = set(manifests)
    for digest in list(needed):
        if manifest := walk.manifests.get(digest):
            needed.update(manifest.names)
    return needed & walk.blobs.keys()


def spaces_usd(size: int) -> float:
    """Return what that many bytes cost a month in Spaces, if the account has no others."""
    return SPACES_USD + GIB_USD * max(0.0, size / GIB - SPACES_GIB)


def managed_usd(size: int) -> float:
    """Return what that many bytes cost a month in DigitalOcean's managed registry."""
    return MANAGED_USD + GIB_USD * max(0.0, size / GIB - MANAGED_GIB)


def table(usage: Usage) -> str:
    """Return the usage as text."""
    heads = ("repository", "tags", "manifests", "own", "shared", "untagged")
    cells = [
        (
            x.name,
            str(x.tags),
            str(x.manifests),
            formatted(x.own),
            formatted(x.shared),
            formatted(x.untagged),
        )
        for x in usage.rows
    ]
    widths = [max(len(row[column]) for row in [heads, *cells]) for column in range(len(heads))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in [heads, *cells]
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"needed by images:         {formatted(usage.stored)}",
            f"needed by nothing:        {formatted(usage.unneeded)}",
            f"copies of deleted blobs:  {formatted(usage.copies)}",
            *(
                f"{f'cache {name}:':<24}  {formatted(size)}"
                for name, size in sorted(usage.caches.items())
            ),
            f"all of it:                {formatted(usage.total)}",
            "",
            f"a month in DigitalOcean Spaces:   {spaces_usd(usage.total):.2f} USD",
            f"a month in its managed registry:  {managed_usd(usage.stored):.2f} USD",
        ]
    )


def formatted(size: float) -> str:
    """Return a number of bytes as text, such as 1.5 GiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
