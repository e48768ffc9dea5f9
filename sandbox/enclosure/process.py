"""A long-running process of the sandbox, as its supervisor needs to know it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Process:
    """One process that the supervisor starts, restarts when it ends, and stops.

    It runs inside the node's namespaces, in the folder that holds the package ``sandbox``.

    Attributes:
        name: Unique; names the log file.
        argv: The command with its arguments; never a secret in it.
        env: What its environment has beyond PATH and HOME.
        after: A URL that must answer 200 before it first starts; None to start at once. Of an
            https URL the certificate must be the sandbox's.
        stop: Processes with a lower number are stopped, and waited for, first.
    """

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    after: str | None = None
    stop: int = 0
