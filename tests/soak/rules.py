"""The rules of the soak: how long things take, and which tags stay."""

from __future__ import annotations

from scripts.maintenance.clock import DAY
from scripts.maintenance.plan import Times
from scripts.maintenance.retention import Retention, Rule

BUILDS, LAST = "builds", 3
"""A repository in which the last builds stay, and how many."""

TIMES = Times(keep=4, grace=3)

# Of all tags of a team's repositories, the second rule only deletes those of signatures.
RETENTION = Retention(
    rules=[
        Rule("builds", [BUILDS], last=LAST, days=0, matching=[]),
        Rule("team", ["team/*"], last=1000, days=0, matching=[]),
    ],
    untagged_days=2 / DAY,
)
