"""What keeps preflight from a result."""

from __future__ import annotations

from settings.problems import Problem


class NotReadyError(Exception):
    """Cluster or cloud cannot be used, so that something could not be checked."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.expected)
        self.problem = problem
