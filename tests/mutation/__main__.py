"""Change the program in one place at a time, and see whether the unit tests notice.

Of each mutant run the tests that execute its lines, in copies of the repository, one for each CPU.
What is known of a file stays known until the file changes (tests/mutation/figures.py), so a run
that was interrupted goes on with the file that it was at. Mutants that no test can notice are in
survivors.toml, each with the reason; any other that survives is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.mutation.covering import Covering
from tests.mutation.figures import Figures, key
from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]

LEAST_KILLED = 0.9

PROGRAM_TESTS = ["tests/unit/program"]

GOLDENS = "/test_goldens.py::"
GOLDEN = f"{GOLDENS}test_every_resource_is_the_golden_one"
"""The tests that notice most mutants of components, and the one that notices most of all."""

TESTS = {
    "examples": ["tests/unit/test_gitlab_comment.py"],
    "policy": ["tests/unit/policy"],
    "reference": ["tests/unit/test_reference.py", "tests/unit/settings"],
    "scripts": ["tests/unit/scripts"],
    "settings": ["tests/unit/settings"],
    "settings/names.py": PROGRAM_TESTS,
    "settings/problems.py": PROGRAM_TESTS,
}
"""The tests that may kill the mutants of a folder or file, if not those of the program."""
LEFT_OUT = [f"--ignore-glob=*/test_collect_{name}.py" for name in ("fuzzed", "throughput")]
"""Tests that find much, slowly: what they alone find needs a test that says why."""

WITHOUT_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Of those that are installed no test needs one, and pytest warns of what is imported before it."""

MOST_SECONDS = 30
"""What the tests of one mutant may take together. The likeliest come first; what they do not notice
in that time counts as surviving."""

QUICK_SECONDS = 0.5
"""What a test may take that shows whether the tests pass in a copy of the repository."""


def program_files(base: str | None, only: Collection[str] = ()) -> list[str]:
    """Return the paths of the program's files, or of those that differ from a revision.

    Args:
        base: The revision; None for all files.
        only: Files and folders, in the order to try them in; empty for all.
    """
    command = ["diff", "--name-only", "--diff-filter=d", base] if base else ["ls-files"]
    files = git(*command, "--", "*.py", ":!bench", ":!sandbox", ":!tests")
    parts = [f"{path.rstrip('/')}/" for path in only]
    chosen = (file for part in parts for file in files if f"{file}/".startswith(part))
    return list(dict.fromkeys(chosen)) if only else files


def git(*args: str) -> list[str]:
    """Return the lines that git prints."""
    return subprocess.run(
        ["git", *args], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()


def covering(tests: list[str]) -> Covering:
    """Run the tests of files and folders, and return which lines they execute."""
    say("running the unit tests, to see which lines they execute")
    result = subprocess.run(
        [sys.executable, "-m", "tests.mutation.covering", *LEFT_OUT, *tests],
        cwd=ROOT, env=os.environ | WITHOUT_PLUGINS, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if result.returncode:
        raise SystemExit("the unit tests fail without any mutant")
    known: Covering = json.loads(result.stdout)
    return known


def folders(file: str) -> list[str]:
    """Return the folders of the tests that may kill a file's mutants."""
    return TESTS.get(file) or TESTS.get(file.split("/")[0]) or PROGRAM_TESTS


def job(mutant: Mutant, known: Covering, noticed: Counter[str]) -> dict[str, Any] | None:
    """Return what a worker does about a mutant; None where no test executes it.

    Args:
        mutant: The mutant.
        known: What the tests execute.
        noticed: How many mutants of the file each test has noticed.
    """
    by_line = known["tests"].get(mutant.file, {})
    tests = {test for line in mutant.lines for test in by_line.get(str(line), [])}
    if not tests:
        tests.update(known["processes"])
    imported = known["imported"].get(mutant.file, [])
    if mutant.function and not set(mutant.lines).intersection(imported):
        return work_on(mutant, mutant.function, tests, (), known, noticed) if tests else None
    # What only reads what an import has left executes no line of the file.
    tests.update(test for tests in by_line.values() for test in tests)
    return work_on(mutant, "", tests, known["seconds"].keys() - tests, known, noticed)


def work_on(
    mutant: Mutant,
    function: str,
    likely: Collection[str],
    others: Collection[str],
    known: Covering,
    noticed: Counter[str],
) -> dict[str, Any]:
    """Return what a worker does: run tests while a file contains some code."""
    name, own = f"/test_{Path(mutant.file).stem}", known["own"].get(mutant.file, {})
    component = mutant.file.startswith("components/")

    def soon(test: str) -> float:
        """Return what is the less, the sooner a test is likely to fail."""
        chances = 1 + noticed[test] + (name in test) + 100 * test.endswith(GOLDEN)
        # Most of components shows in the golden of a mode, whatever else executes the line.
        chances += 10 * (component and GOLDENS in test)
        # A test that alone executes something notices what else changes for it.
        return (known["seconds"][test] + 0.01) / (chances + 10 * own.get(test, 0))

    ordered = [*sorted(likely, key=soon), *sorted(others, key=soon)]
    together = accumulate(known["seconds"][x] for x in ordered)
    ordered = [x for x, seconds in zip(ordered, together, strict=True) if seconds < MOST_SECONDS]
    # One file needs fewer imports than all of them.
    first = [x for x in ordered if x.partition("::")[0] == ordered[0].partition("::")[0]]
    return {
        "file": mutant.file,
        "code": mutant.code,
        "function": function,
        "stages": [
            {test: known["seconds"][test] for test in stage}
            for stage in (first, [x for x in ordered if x not in first])
            if stage
        ],
    }


def run(todo: list[Mutant], known: Covering, tests: list[str]) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant with whether it survived the unit tests, in any order.

    Args:
        todo: The mutants.
        known: What the tests execute.
        tests: The files and folders of the tests.
    """
    waiting: SimpleQueue[Mutant] = SimpleQueue()
    done: SimpleQueue[tuple[Mutant, bool] | None] = SimpleQueue()
    for mutant in todo:
        waiting.put(mutant)
    workers = os.cpu_count() or 1
    noticed = defaultdict[str, Counter[str]](Counter)
    code = (ROOT / todo[0].file).read_text()
    functions = [x.function for x in todo if x.file == todo[0].file and x.function]
    unchanged = [replace(todo[0], code=code, function=x) for x in (*functions[:1], "")]

    def work() -> None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                for result in _work(Path(folder), waiting, known, tests, noticed, unchanged):
                    done.put(result)
        finally:
            done.put(None)

    with ThreadPoolExecutor(workers) as pool:
        threads = [pool.submit(work) for _ in range(workers)]
        running = workers
        while running:
            if (result := done.get()) is None:
                running -= 1
            else:
                yield result
    for thread in threads:
        thread.result()


def _work(
    folder: Path,
    waiting: SimpleQueue[Mutant],
    known: Covering,
    tests: list[str],
    noticed: dict[str, Counter[str]],
    unchanged: list[Mutant],
) -> Iterator[tuple[Mutant, bool]]:
    copy = folder / "copy"
    for path in git("ls-files", "--cached", "--others", "--exclude-standard"):
        if not (ROOT / path).is_file():
            continue  # deleted, but not committed yet
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, copy / path)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.mutation.worker", f"--basetemp={folder / 'tests'}"],
        cwd=copy, env=os.environ | WITHOUT_PLUGINS,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdin and worker.stdout
    source, sink = worker.stdout, worker.stdin

    def failing_test(task: dict[str, Any]) -> str:
        print(json.dumps(task), file=sink, flush=True)
        test: str = json.loads(source.readline())
        return test

    with worker:
        print(json.dumps(known["modules"]), file=sink)
        print(json.dumps([*LEFT_OUT, *tests]), file=sink)
        quick = [test for test, seconds in known["seconds"].items() if seconds < QUICK_SECONDS]
        for trial in unchanged:
            task = work_on(trial, trial.function, quick, (), known, Counter())
            if test := failing_test(task):
                raise SystemExit(f"{test} fails without any mutant")
        while True:
            try:
                mutant = waiting.get_nowait()
            except Empty:
                sink.close()
                return
            job_for = job(mutant, known, noticed[mutant.file])
            noticing = failing_test(job_for) if job_for else None
            if noticing:
                noticed[mutant.file][noticing] += 1
            yield mutant, not noticing


def try_files(codes: dict[str, str], figures: Figures) -> None:
    """Try the mutants of files that the same tests may kill, and note what became of them.

    Args:
        codes: What is in each file, by its path.
        figures: What is known already.
    """
    changes = {file: list(mutants(file, code)) for file, code in codes.items()}
    todo = [x for file, code in codes.items() for x in figures.todo(file, code, changes[file])]
    left, survived = Counter(mutant.file for mutant in todo), list[Mutant]()
    for file in codes.keys() - left:
        figures.done(file, codes[file], changes[file], [])
    if not todo:
        return
    tests = folders(todo[0].file)
    known = covering(tests)
    started = time.monotonic()
    for number, (mutant, lives) in enumerate(run(todo, known, tests), 1):
        if lives:
            survived.append(mutant)
            say(f"survives in {mutant.file}: {mutant.before}  ->  {mutant.after}")
        left[mutant.file] -= 1
        if not left[mutant.file]:
            file = mutant.file
            lived = [x for x in survived if x.file == file]
            figures.done(file, codes[file], changes[file], lived)
        if number % 50 == 0 or number == len(todo):
            minutes = (time.monotonic() - started) / number * (len(todo) - number) / 60
            say(
                f"{number} of {len(todo)} mutants, {len(survived)} survived, {minutes:.0f} min left"
            )


def main() -> str | None:
    """Try what is not known yet, and return what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", metavar="REVISION", help="only files that differ from this")
    parser.add_argument("only", nargs="*", metavar="FILE", help="only these files and folders")
    args = parser.parse_args()
    files = program_files(args.base, args.only)
    codes = {file: (ROOT / file).read_text() for file in files}
    figures = Figures.read()
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for file, code in codes.items():
        groups.setdefault(tuple(folders(file)), {})[file] = code
    for group in groups.values():
        try_files(group, figures)
    total, killed = sum(figures.mutants[x] for x in files), sum(map(figures.killed, files))
    say(f"{killed} of {total} mutants of {len(files)} files killed")
    there = {key(mutant) for file, code in codes.items() for mutant in mutants(file, code)}
    if gone := [x for x in figures.survivors if x[0] in codes and x not in there]:
        return f"survivors.toml lists mutants that are no more: {sorted(gone)}"
    if unexplained := figures.unexplained(files):
        return (
            f"{len(unexplained)} survive without a reason in survivors.toml: "
            "write a test that fails, or the reason why no test can"
        )
    if files == program_files(None) and killed < LEAST_KILLED * total:
        return f"fewer than {LEAST_KILLED:.0%} are killed"
    return None


def say(progress: str) -> None:
    """Print progress."""
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
