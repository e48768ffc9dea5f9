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
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

QUIET = ["-x", "-q", "-p", "no:cacheprovider"]


class _Only:
    """Runs some tests of those collected, in an order of its own."""

    def __init__(self, tests: list[str]) -> None:
        self._rank = {test: rank for rank, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank),
            key=lambda item: self._rank[item.nodeid],
        )


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


def _survives(file: str, code: str, stages: list[list[str]], limit: float) -> bool:
    path = Path(file)
    original = path.read_text()
    compiled = Path(importlib.util.cache_from_source(str(path.resolve())))
    # Its time stamp may be that of the file before.
    compiled.unlink(missing_ok=True)
    path.write_text(code)
    deadline = time.monotonic() + limit
    try:
        return all(_pass(tests, deadline) for tests in stages)
    finally:
        path.write_text(original)
        compiled.unlink(missing_ok=True)


def _pass(tests: list[str], deadline: float) -> bool:
    """Return whether tests pass, in a fork: what the SDKs keep would change what comes next."""
    child = os.fork()
    if not child:
        passed = False
        try:
            os.setsid()
            os.dup2(1, 2)
            files = dict.fromkeys(test.partition("::")[0] for test in tests)
            code = pytest.main([*QUIET, *files], plugins=[_Only(tests)])
            passed = code == pytest.ExitCode.OK
        finally:
            os._exit(not passed)
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


main()
