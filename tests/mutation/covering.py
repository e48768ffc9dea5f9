"""Print which unit tests execute which lines, how long each takes, and what they import, in JSON.

The arguments are the tests. Each creates what it needs itself, so that all of it counts as its own.
"""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import pytest
from coverage import Coverage

QUIET = ["-q", "-p", "no:cacheprovider", "--each-alone"]


class Covering(TypedDict):
    """What the tests have shown.

    Attributes:
        seconds: The CPU time that each test takes, by its ID.
        tests: The IDs of the tests that execute a line, by the file's path and the line's number.
        own: How much of a file a test executes that few others do, by the file's path and the
            test's ID: the sum over its lines of the share of each test that executes it.
        imported: The numbers of the lines that run before any test does, by the file's path.
        processes: The IDs of the tests that start processes, in which lines may run, too.
        modules: The names of the modules that they import, other than the repository's own.
    """

    seconds: dict[str, float]
    tests: dict[str, dict[str, list[str]]]
    own: dict[str, dict[str, float]]
    imported: dict[str, list[int]]
    processes: list[str]
    modules: list[str]


class _Contexts:
    """Records each test as a context of the coverage."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.seconds: dict[str, float] = {}
        self.processes = set[str]()
        self._test = ""
        sys.addaudithook(self._note)

    def _note(self, event: str, _: object) -> None:
        if event == "subprocess.Popen":
            self.processes.add(self._test)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        self._coverage.switch_context(item.nodeid)
        started = _cpu_seconds()
        result = yield
        self.seconds[item.nodeid] = round(_cpu_seconds() - started, 3)
        return result


def _own(lines: dict[str, list[str]]) -> dict[str, float]:
    shares: dict[str, float] = defaultdict(float)
    for tests in lines.values():
        for test in tests:
            shares[test] += 1 / len(tests)
    return shares


def _cpu_seconds() -> float:
    """Return what this process and those that it has waited for have taken, on any machine."""
    return sum(os.times()[:4])


def main() -> int:
    """Run the tests, and return pytest's exit code."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    coverage = Coverage(data_file=None, include=[f"{Path.cwd()}/*"], omit=[f"{sys.prefix}/*"])
    contexts = _Contexts(coverage)
    with coverage.collect():
        code = pytest.main([*QUIET, *sys.argv[1:]], plugins=[contexts])
    data = coverage.get_data()
    root = f"{Path.cwd()}/"
    by_line = {
        file.removeprefix(root): data.contexts_by_lineno(file) for file in data.measured_files()
    }
    executed = {
        file: {str(line): [test for test in tests if test] for line, tests in lines.items()}
        for file, lines in by_line.items()
    }
    covering = Covering(
        seconds=contexts.seconds,
        tests=executed,
        own={file: _own(lines) for file, lines in executed.items()},
        imported={
            file: [line for line, tests in lines.items() if "" in tests]
            for file, lines in by_line.items()
        },
        processes=sorted(contexts.processes - {""}),
        modules=[
            name
            for name, module in sys.modules.items()
            if (file := str(getattr(module, "__file__", ""))).startswith(sys.prefix)
            or not file.startswith(root)
        ],
    )
    with output:
        json.dump(covering, output)
    return code


if __name__ == "__main__":
    sys.exit(main())
