"""A clock by which sleeping takes no time."""

from __future__ import annotations


class Clock:
    """Stands in for the module time."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return sum(self.sleeps)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Stand in for asyncio.sleep."""
        self.sleep(seconds)
