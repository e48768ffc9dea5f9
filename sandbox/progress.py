"""The output of a command while it works."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

QUIET = 1.0
"""Seconds; a shorter step gets no line."""

_LINE_EVERY = 15.0
"""Seconds between the lines of a long step when the output is no terminal."""


def say(text: str) -> None:
    """Print a line immediately, even to a pipe."""
    print(text, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Show how long the block takes, if that is more than :data:`QUIET` seconds.

    Args:
        text: What is being done: ``building traefik``.
    """
    start = time.monotonic()
    done = threading.Event()
    terminal = sys.stdout.isatty()
    back = "\r" if terminal else ""

    def tick() -> None:
        while not done.wait(QUIET if terminal else _LINE_EVERY):
            elapsed = f"{text} ... {time.monotonic() - start:.0f} s"
            print(back + elapsed, end="" if terminal else "\n", flush=True)

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    failed = True
    try:
        yield
        failed = False
    finally:
        done.set()
        ticker.join()
        elapsed = time.monotonic() - start
        if failed or elapsed > QUIET:
            say(f"{back}{text}{' failed' if failed else ''}  {elapsed:.1f} s")
