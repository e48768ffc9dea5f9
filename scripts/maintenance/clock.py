"""How much time has passed, as far as runs of the maintenance have seen it pass.

The storage's clock decides what is old enough to go, so it is believed only in small steps: what a
clock skips between two runs makes nothing older.
"""

from __future__ import annotations

from dataclasses import dataclass, field

DAY = 86400

SKEW_SECONDS = 15 * 60
"""How far the clocks of pod and storage may be apart. S3 refuses requests beyond it:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html#RequestTimeTooSkewed"""

USUAL = 3
"""How many times as long as the last pause between runs one may be, if it is longer than a day."""


@dataclass
class Clock:
    """The storage's clock, as runs have seen it.

    Attributes:
        now: The time of the last run, in seconds since 1970; 0 before the first one.
        pause: How long before that the run before it was, in seconds, as far as that was usual.
        skipped: Moments, each with the seconds before it that no run has seen.
    """

    now: float = 0
    pause: float = 0
    skipped: list[tuple[float, float]] = field(default_factory=list)

    @property
    def jumped(self) -> bool:
        """Whether the last run came after a pause that is not usual."""
        return bool(self.skipped) and self.skipped[-1][0] == self.now

    def advance(self, now: float, pod: float) -> str:
        """Note the time of a run, and return why it cannot be believed; empty if it can.

        Args:
            now: The time by the storage's clock.
            pod: The time by the pod's own.
        """
        if abs(now - pod) > SKEW_SECONDS:
            return f"the storage's clock is {now - pod:+.0f} s off this pod's"
        if now < self.now - SKEW_SECONDS:
            behind, self.now = self.now - now, now
            # It was ahead before: what was seen then is younger than it seems, and waits longer.
            return f"the clock is {behind:.0f} s behind that of the last run"
        pause = max(0.0, now - self.now) if self.now else 0
        usual = max(DAY, USUAL * self.pause)
        if pause > usual:
            self.skipped.append((now, pause - self.pause))
        # A pause that is not usual is so only after some of them, so that two jumps are two.
        self.now, self.pause = max(now, self.now), min(pause, usual)
        return ""

    def age(self, moment: float) -> float:
        """Return for how many seconds something has been there, as far as that was seen."""
        return self.now - moment - sum(x for until, x in self.skipped if moment < until)
