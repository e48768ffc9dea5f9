"""Runs the unit tests of the folder it is started in, once for each mutant that it reads.

The SDKs take seconds to import, so that happens once: a mutant's tests run in a fork, which imports
only what is the repository's own.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

QUIET = ["-x", "-q", "-p", "no:cacheprovider"]


PATIENCE = 3
"""A test that takes so many times longer than without a mutant never ends."""

LEAST_CPU_SECONDS, LEAST_SECONDS = 10, 120
"""What each test has at least, on a busy machine."""

MEMORY = 3 << 30
"""Bytes that a mutant may take, for the sake of what else runs on the machine."""


class _Only:
    """Runs some tests of those collected, in an order of its own.

    The process ends by a signal where one of them does not, whether it loops or waits.

    Args:
        tests: How many seconds each test takes without a mutant.
    """

    def __init__(self, tests: dict[str, float]) -> None:
        self._seconds = tests
        self._rank = {test: rank for rank, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank),
            key=lambda item: self._rank[item.nodeid],
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        limit_time(self._seconds[item.nodeid])
        return (yield)


def limit_time(seconds: float) -> None:
    """End this process by a signal if it takes much longer."""
    signal.setitimer(signal.ITIMER_PROF, LEAST_CPU_SECONDS + PATIENCE * seconds)
    signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS + 10 * PATIENCE * seconds)


def main() -> None:
    """Respond to each line of standard input, a job in JSON, with whether the mutant survived.

    The first line is a list of the modules that the tests import, other than the repository's own.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for name in json.loads(sys.stdin.readline()):
        with suppress(ImportError):
            # The SDKs load modules when they are first used. If that happened while a module in
            # one is imported, this would take the place of the class of the same name.
            getattr(importlib.import_module(name), "load", None)
    gc.freeze()  # So that forks do not copy the pages of what they only read.
    for line in sys.stdin:
        survived = _survives(**json.loads(line))
        print(json.dumps(survived), file=replies, flush=True)


def _survives(file: str, code: str, stages: list[dict[str, float]]) -> bool:
    path = Path(file)
    original = path.read_text()
    compiled = Path(importlib.util.cache_from_source(str(path.resolve())))
    # Its time stamp may be that of the file before.
    compiled.unlink(missing_ok=True)
    path.write_text(code)
    try:
        return all(map(_pass, stages))
    finally:
        path.write_text(original)
        compiled.unlink(missing_ok=True)


def _pass(tests: dict[str, float]) -> bool:
    """Return whether tests pass, in a fork: what the SDKs keep would change what comes next."""
    child = os.fork()
    if not child:
        passed = False
        try:
            os.setsid()
            os.dup2(1, 2)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            limit_time(0)
            files = dict.fromkeys(test.partition("::")[0] for test in tests)
            code = pytest.main([*QUIET, *files], plugins=[_Only(tests)])
            passed = code == pytest.ExitCode.OK
        finally:
            os._exit(not passed)
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return status == 0


main()
