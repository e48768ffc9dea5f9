"""Change the program in one place at a time, and see whether the unit tests notice.

Mutants that no test can notice are in survivors.toml, each with the reason; any other that survives
is an error. Runs in copies of the repository, one for each CPU.
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
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]

LEAST_KILLED = 0.9

PROGRAM_TESTS = ["tests/unit/program/test_goldens.py", "tests/unit/program"]
"""The golden files first: most mutants change one."""

TESTS = {
    "policy": ["tests/unit/policy"],
    "scripts": ["tests/unit/scripts", "tests/unit/program/test_render.py"],
    "settings": ["tests/unit/settings", "tests/unit/program"],
}
"""The tests that may kill the mutants of a folder, if not those of the program."""


def program_files(base: str | None) -> list[str]:
    """Return the paths of the program's files, or of those that differ from a revision.

    Args:
        base: The revision; None for all files.
    """
    command = ["diff", "--name-only", "--diff-filter=d", base] if base else ["ls-files"]
    return git(*command, "--", "*.py", ":!bench", ":!sandbox", ":!tests")


def git(*args: str) -> list[str]:
    """Return the lines that git prints."""
    return subprocess.run(
        ["git", *args], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()


def key(mutant: Mutant) -> tuple[str, str, str, str]:
    """Return what tells a mutant from others, wherever its lines are."""
    return mutant.file, mutant.scope, mutant.before, mutant.after


def tests_of(mutant: Mutant) -> list[str]:
    """Return the tests that may kill a mutant, in the order in which they run."""
    return TESTS.get(mutant.file.split("/")[0], PROGRAM_TESTS)


def run(todo: list[Mutant]) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant with whether it survived the unit tests, in any order.

    Args:
        todo: The mutants.
    """
    waiting: SimpleQueue[Mutant] = SimpleQueue()
    done: SimpleQueue[tuple[Mutant, bool] | None] = SimpleQueue()
    for mutant in todo:
        waiting.put(mutant)
    tests = sorted({test for mutant in todo for test in tests_of(mutant)})
    workers = os.cpu_count() or 1

    def work() -> None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                for result in _work(Path(folder), waiting, tests):
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
    folder: Path, waiting: SimpleQueue[Mutant], tests: list[str]
) -> Iterator[tuple[Mutant, bool]]:
    for path in git("ls-files", "--cached", "--others", "--exclude-standard"):
        if not (ROOT / path).is_file():
            continue  # deleted, but not committed yet
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.mutation.worker", *tests],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdin and worker.stdout
    with worker:
        if worker.stdout.readline() != "ready\n":
            raise SystemExit("a worker did not start")
        while True:
            try:
                mutant = waiting.get_nowait()
            except Empty:
                worker.stdin.close()
                return
            job = {"file": mutant.file, "code": mutant.code, "tests": tests_of(mutant)}
            print(json.dumps(job), file=worker.stdin, flush=True)
            yield mutant, json.loads(worker.stdout.readline())


def main() -> str | None:
    """Run all mutants, and return what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", metavar="REVISION", help="only files that differ from this")
    args = parser.parse_args()
    files = program_files(args.base)
    changes = [mutant for file in files for mutant in mutants(file, (ROOT / file).read_text())]
    listed = tomllib.loads((ROOT / "tests/mutation/survivors.toml").read_text())["survivor"]
    known = {(x["file"], x["scope"], x["before"], x["after"]) for x in listed if x["file"] in files}
    gone = known - set(map(key, changes))
    todo = [mutant for mutant in changes if key(mutant) not in known]
    started, survived = time.monotonic(), []
    for number, (mutant, lives) in enumerate(run(todo), 1):
        if lives:
            survived.append(mutant)
        if number % 50 == 0 or number == len(todo):
            left = (time.monotonic() - started) / number * (len(todo) - number) / 60
            print(f"{number} of {len(todo)} mutants, {len(survived)} survived, {left:.0f} min left")
    for mutant in survived:
        print(f"\n[[survivor]]\nreason = ''\nfile = {json.dumps(mutant.file)}")
        print(f"scope = {json.dumps(mutant.scope)}")
        print(f"before = {json.dumps(mutant.before)}\nafter = {json.dumps(mutant.after)}")
    killed = len(todo) - len(survived)
    print(f"{killed} of {len(changes)} mutants killed, {len(changes) - len(todo)} known to survive")
    if gone:
        return f"survivors.toml lists mutants that are no more: {sorted(gone)}"
    if survived:
        return "write a test that fails, or list them in survivors.toml with the reason"
    if not args.base and killed < LEAST_KILLED * len(changes):
        return f"fewer than {LEAST_KILLED:.0%} are killed"
    return None


sys.exit(main())
