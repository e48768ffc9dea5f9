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
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

PATIENCE = 3
"""Tests that take so many times longer than without a mutant never end."""

QUIET = ["-x", "-q", "-p", "no:cacheprovider"]


def main() -> None:
    """Respond to each line of standard input, a job in JSON, with whether the mutant survived.

    The arguments are the tests of all jobs.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    with tempfile.NamedTemporaryFile("r") as names:
        # In a fork as well: gRPC, once used, cannot be forked.
        _passes(sys.argv[1:], limit=3600, names=names.name)
        for name in names.read().split():
            with suppress(ImportError):
                # The SDKs load modules when they are first used. If that happened while a module in
                # one is imported, this would take the place of the class of the same name.
                getattr(importlib.import_module(name), "load", None)
    gc.freeze()  # So that forks do not copy the pages of what they only read.
    started = time.monotonic()
    if not _passes(sys.argv[1:], limit=3600):
        sys.exit("the unit tests fail without any mutant")
    limit = PATIENCE * (time.monotonic() - started)
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        survived = _survives(Path(job["file"]), job["code"], job["tests"], limit)
        print(json.dumps(survived), file=replies, flush=True)


def _survives(file: Path, code: str, tests: list[str], limit: float) -> bool:
    original = file.read_text()
    compiled = Path(importlib.util.cache_from_source(str(file.resolve())))
    # Its time stamp may be that of the file before.
    compiled.unlink(missing_ok=True)
    file.write_text(code)
    try:
        return _passes(tests, limit)
    finally:
        file.write_text(original)
        compiled.unlink(missing_ok=True)


def _passes(tests: list[str], limit: float, names: str | None = None) -> bool:
    """Return whether tests pass, one after the other: collecting all takes longer than the first.

    Each is in a fork of its own, as what the SDKs keep of one run would change the next.

    Args:
        tests: The tests.
        limit: The seconds after which they are stopped and have failed.
        names: The file for the names of the modules that they import, other than from here.
    """
    deadline = time.monotonic() + limit
    return all(_one_passes(test, deadline, names) for test in tests)


def _one_passes(test: str, deadline: float, names: str | None) -> bool:
    child = os.fork()
    if not child:
        passed = False
        try:
            os.setsid()
            os.dup2(1, 2)
            passed = pytest.main([*QUIET, test]) == pytest.ExitCode.OK
            if names:
                with Path(names).open("a") as file:
                    file.writelines(f"{name}\n" for name in _imported())
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


def _imported() -> list[str]:
    files = {name: str(getattr(module, "__file__", "")) for name, module in sys.modules.items()}
    return [name for name, file in files.items() if not file.startswith(f"{Path.cwd()}/")]


main()
