"""A long-running process of the sandbox, as its supervisor needs it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Process:
    """A process that the supervisor starts, restarts when it ends, and stops.

    It runs in the node's namespaces, in the folder that contains the package ``sandbox``.

    Attributes:
        name: Unique; also the name of its log file.
        argv: The command with its arguments, without secrets.
        env: Its environment in addition to PATH and HOME.
        after: A URL that must return 200 before the first start; None to start at once. The
            certificate of an https URL must be the sandbox's.
        stop: Processes with lower numbers are stopped first, and waited for.
    """

    name: str
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)
    after: str | None = None
    stop: int = 0
