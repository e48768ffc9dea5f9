"""Users whose logins end soon, or have ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from settings.commands import fix_command, set_command
from settings.schema import ENDS_SOON_SECONDS, UserSettings


def ending(users: Mapping[str, UserSettings], now: float) -> Iterator[str]:
    """Yield a warning for each login that ends soon or has ended.

    Args:
        users: The users by name.
        now: This machine's clock, in seconds since 1970.
    """
    for name, user in users.items():
        if user.ends is not None and user.ends - now < ENDS_SOON_SECONDS:
            state = "this login ends soon" if user.ends > now else "this login has ended"
            later = set_command(("users", name, "until"))
            yield (
                f"users.{name}.until = {user.until}: {state}; "
                f"fix: {later}, or {fix_command(('users', name), None)}"
            )
