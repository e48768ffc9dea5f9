"""Runs the unit tests of the folder it is started in, once for each mutant that it reads.

The imports take seconds, so they happen once: a mutant's tests run in a fork, in which the changed
function has the mutant's code. What runs at an import needs new imports of what is the
repository's own.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import mmap
import os
import resource
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import TextIO

import pytest

QUIET = ["-x", "-q", "-s", "-p", "no:cacheprovider", *sys.argv[1:]]

ROOT = f"{Path.cwd()}/"

PATIENCE = 3
"""A test that takes so many times longer than without a mutant never ends."""

LEAST_CPU_SECONDS, LEAST_SECONDS = 5, 60
"""What each test has at least, on a busy machine."""

MEMORY = 3 << 30
"""Bytes that a mutant may take, for the sake of what else runs on the machine."""

SURVIVES = ""


class _Only:
    """Runs some tests of those collected, in an order of its own.

    Args:
        tests: How many seconds each test takes without a mutant.
        begin: What to call before each test.
    """

    def __init__(self, tests: dict[str, float], begin: Callable[[str], None]) -> None:
        self._rank = {test: rank for rank, test in enumerate(tests)}
        self._begin = begin

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._rank),
            key=lambda item: self._rank[item.nodeid],
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._begin(item.nodeid)
        return (yield)


class _Jobs:
    """Does the jobs instead of running what was collected.

    Args:
        jobs: A line of JSON for each.
        replies: Where a line for each goes: the test that notices the mutant.
    """

    def __init__(self, jobs: Iterable[str], replies: TextIO) -> None:
        self._jobs, self._replies = jobs, replies
        self._functions = defaultdict[tuple[str, str], list[FunctionType]](list)
        self._items: dict[str, pytest.Item] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._items = {item.nodeid: item for item in session.items}
        for x in gc.get_objects():
            if isinstance(x, FunctionType) and x.__code__.co_filename.startswith(ROOT):
                self._functions[x.__code__.co_filename, x.__code__.co_qualname].append(x)
        gc.freeze()  # So that forks do not copy the pages of what they only read.
        for line in self._jobs:
            print(json.dumps(self._noticed(**json.loads(line))), file=self._replies, flush=True)
        return True

    def _noticed(self, file: str, code: str, function: str, stages: list[dict[str, float]]) -> str:
        """Return the test that fails while a file contains some code.

        Args:
            file: Its path.
            code: What it contains.
            function: The only one that differs from what is imported; empty for new imports.
            stages: How many seconds the tests take without a mutant: each stage is imported alone.
        """
        with _contents(Path(file), code):
            if function and (change := self._change(ROOT + file, code, function)):
                tests = {test: seconds for stage in stages for test, seconds in stage.items()}
                items = [self._items[test] for test in tests]
                return _in_fork(tests, lambda begin: _passes_as_imported(items, change, begin))
            for stage in stages:
                if test := _in_fork(stage, lambda begin, stage=stage: _passes_anew(stage, begin)):  # type: ignore[misc]
                    return test
        return SURVIVES

    def _change(self, path: str, code: str, function: str) -> Callable[[], None] | None:
        """Return what gives a function its new code; None for one that is not imported."""
        new = [x for x in _codes(compile(code, path, "exec")) if x.co_qualname == function]
        old = self._functions.get((path, function), [])
        if len(new) != 1 or any(x.__code__.co_freevars != new[0].co_freevars for x in old):
            return None

        def change() -> None:
            for x in old:
                x.__code__ = new[0]

        return change if old else None


def _passes_as_imported(
    items: list[pytest.Item], change: Callable[[], None], begin: Callable[[str], None]
) -> bool:
    change()
    for item, following in zip(items, [*items[1:], None], strict=True):
        begin(item.nodeid)
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        if item.session.testsfailed:
            return False
    return True


def _passes_anew(tests: dict[str, float], begin: Callable[[str], None]) -> bool:
    own = [name for name, module in sys.modules.items() if _is_own(module)]
    for name in own:
        del sys.modules[name]
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    return pytest.main([*QUIET, *files], plugins=[_Only(tests, begin)]) == pytest.ExitCode.OK


def _is_own(module: ModuleType) -> bool:
    # A folder without __init__.py has no file.
    path = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", [])), "")
    return path.startswith(ROOT) and not path.startswith(sys.prefix)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


@contextmanager
def _contents(path: Path, code: str) -> Iterator[None]:
    """Let a file contain something else, for the processes that tests start."""
    original = path.read_text()
    compiled = Path(importlib.util.cache_from_source(str(path.resolve())))
    # Its time stamp may be that of the file before.
    compiled.unlink(missing_ok=True)
    path.write_text(code)
    try:
        yield
    finally:
        path.write_text(original)
        compiled.unlink(missing_ok=True)


def _in_fork(tests: dict[str, float], passes: Callable[[Callable[[str], None]], bool]) -> str:
    """Return the test that does not pass: what the SDKs keep would change what comes next.

    Args:
        tests: How many seconds each takes without a mutant.
        passes: What runs them, and calls its argument before each.
    """
    names = list(tests)
    current = mmap.mmap(-1, 4)  # shared with the fork

    def begin(test: str) -> None:
        current[:] = names.index(test).to_bytes(4, "big")
        limit_time(tests[test])

    child = os.fork()
    if not child:
        passed = False
        try:
            os.setsid()
            os.dup2(1, 2)
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            limit_time(0)
            passed = passes(begin)
        finally:
            os._exit(not passed)
    _, status = os.waitpid(child, 0)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    return names[int.from_bytes(current[:], "big")] if status else SURVIVES


def limit_time(seconds: float) -> None:
    """End this process by a signal if it takes much longer, whether it loops or waits."""
    signal.setitimer(signal.ITIMER_PROF, LEAST_CPU_SECONDS + PATIENCE * seconds)
    signal.setitimer(signal.ITIMER_REAL, LEAST_SECONDS + 10 * PATIENCE * seconds)


def main() -> None:
    """Do the jobs of standard input.

    The first line is a list of the modules that the tests import, other than the repository's own,
    the second one of the tests' files and folders.
    """
    jobs, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    for standard in (0, 1):
        os.dup2(os.open(os.devnull, os.O_RDWR), standard)
    for name in json.loads(jobs.readline()):
        with suppress(ImportError):
            # The SDKs load modules when they are first used. If that happened while a module in
            # one is imported, this would take the place of the class of the same name.
            getattr(importlib.import_module(name), "load", None)
    pytest.main([*QUIET, *json.loads(jobs.readline())], plugins=[_Jobs(jobs, replies)])


main()
