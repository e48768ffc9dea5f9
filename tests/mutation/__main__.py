"""Change the program in one place at a time, and see whether the unit tests notice.

Of each mutant run the tests that execute its lines. Mutants that no test can notice are in
survivors.toml, each with the reason; any other that survives is an error. Runs in copies of the
repository, one for each CPU.
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
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from tests.mutation.covering import Covering
from tests.mutation.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]

LEAST_KILLED = 0.9

GOLDENS = "tests/unit/program/test_goldens.py"
"""The tests that notice most mutants of components."""

GOLDEN = f"{GOLDENS}::test_every_resource_is_the_golden_one"
"""The one that notices most of all, so it is the first."""

TESTS = {
    "preflight": ["tests/unit/program"],
    "policy": ["tests/unit/policy"],
    "settings": ["tests/unit/settings", "tests/unit/program"],
}
"""The tests that may kill the mutants of a folder, if not those of the program; the first ones are
tried first."""

PROGRAM_TESTS = [GOLDENS, "tests/unit/program"]

PATIENCE = 3
"""Tests that take so many times longer than without a mutant never end."""

LEAST_SECONDS = 20
"""What a worker needs for the shortest of them, on a busy machine."""

WITHOUT_PLUGINS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Of those that are installed no test needs one, and pytest warns of what is imported before it."""


def program_files(base: str | None) -> list[str]:
    """Return the paths of the program's files, or of those that differ from a revision.

    Without scripts/, most of which only a server can tell right from wrong.

    Args:
        base: The revision; None for all files.
    """
    command = ["diff", "--name-only", "--diff-filter=d", base] if base else ["ls-files"]
    return git(*command, "--", "*.py", ":!bench", ":!sandbox", ":!scripts", ":!tests")


def git(*args: str) -> list[str]:
    """Return the lines that git prints."""
    return subprocess.run(
        ["git", *args], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.splitlines()


def key(mutant: Mutant) -> tuple[str, str, str, str]:
    """Return what tells a mutant from others, wherever its lines are."""
    return mutant.file, mutant.scope, mutant.before, mutant.after


def covering(files: list[str]) -> Covering:
    """Run the tests of files, and return which lines they execute.

    Args:
        files: Paths of the program.
    """
    say("running the unit tests, to see which lines they execute")
    tests = sorted({test for file in files for test in folders(file)})
    result = subprocess.run(
        [sys.executable, "-m", "tests.mutation.covering", *tests],
        cwd=ROOT, env=os.environ | WITHOUT_PLUGINS, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if result.returncode:
        raise SystemExit("the unit tests fail without any mutant")
    known: Covering = json.loads(result.stdout)
    return known


def folders(file: str) -> list[str]:
    """Return the folders of the tests that may kill a file's mutants."""
    return TESTS.get(file.split("/")[0], PROGRAM_TESTS)


def job(mutant: Mutant, known: Covering) -> dict[str, Any]:
    """Return what a worker does about a mutant.

    Args:
        mutant: The mutant.
        known: What the tests execute. What is executed by imports concerns all tests.
    """
    lines = known["tests"].get(mutant.file, {})
    tests = {test for line in mutant.lines for test in lines.get(str(line), [])} or {
        test for test in known["seconds"] if test.startswith(tuple(folders(mutant.file)))
    }
    return work_on(mutant.file, mutant.code, tests, known)


def work_on(file: str, code: str, tests: Collection[str], known: Covering) -> dict[str, Any]:
    """Return what a worker does: run tests while a file contains some code."""
    own = folders(file)[0]
    ordered = sorted(
        tests,
        key=lambda x: (x != GOLDEN, not x.startswith(own), known["seconds"][x]),
    )
    return {
        "file": file,
        "code": code,
        "stages": [stage for stage in (ordered[:1], ordered[1:]) if stage],
        "limit": LEAST_SECONDS + PATIENCE * sum(known["seconds"][test] for test in tests),
    }


def run(todo: list[Mutant], known: Covering) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant with whether it survived the unit tests, in any order.

    Args:
        todo: The mutants.
        known: What the tests execute.
    """
    waiting: SimpleQueue[Mutant] = SimpleQueue()
    done: SimpleQueue[tuple[Mutant, bool] | None] = SimpleQueue()
    for mutant in todo:
        waiting.put(mutant)
    workers = os.cpu_count() or 1

    def work() -> None:
        try:
            with tempfile.TemporaryDirectory() as folder:
                for result in _work(Path(folder), waiting, known):
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
    folder: Path, waiting: SimpleQueue[Mutant], known: Covering
) -> Iterator[tuple[Mutant, bool]]:
    for path in git("ls-files", "--cached", "--others", "--exclude-standard"):
        if not (ROOT / path).is_file():
            continue  # deleted, but not committed yet
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.mutation.worker"],
        cwd=folder, env=os.environ | WITHOUT_PLUGINS,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdin and worker.stdout
    source, sink = worker.stdout, worker.stdin

    def survives(task: dict[str, Any]) -> bool:
        print(json.dumps(task), file=sink, flush=True)
        return bool(json.loads(source.readline()))

    with worker:
        print(json.dumps(known["modules"]), file=sink)
        unchanged = (ROOT / "__main__.py").read_text()
        if not survives(work_on("__main__.py", unchanged, known["seconds"], known)):
            raise SystemExit("the unit tests fail without any mutant")
        while True:
            try:
                mutant = waiting.get_nowait()
            except Empty:
                sink.close()
                return
            yield mutant, survives(job(mutant, known))


def listed(files: list[str]) -> set[tuple[str, str, str, str]]:
    """Return the keys of the mutants of files that are known to survive."""
    survivors = tomllib.loads((ROOT / "tests/mutation/survivors.toml").read_text())["survivor"]
    return {
        (x["file"], x["scope"], x["before"], x["after"]) for x in survivors if x["file"] in files
    }


def main() -> str | None:
    """Run all mutants, print those that survive, and return what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", metavar="REVISION", help="only files that differ from this")
    args = parser.parse_args()
    files = program_files(args.base)
    changes = [mutant for file in files for mutant in mutants(file, (ROOT / file).read_text())]
    expected = listed(files)
    todo = [mutant for mutant in changes if key(mutant) not in expected]
    known = covering(files)
    started, survived = time.monotonic(), 0
    for number, (mutant, lives) in enumerate(run(todo, known), 1):
        if lives:
            survived += 1
            print(f"\n[[survivor]]\nreason = ''\nfile = {json.dumps(mutant.file)}")
            print(f"scope = {json.dumps(mutant.scope)}\nbefore = {json.dumps(mutant.before)}")
            print(f"after = {json.dumps(mutant.after)}", flush=True)
        if number % 50 == 0 or number == len(todo):
            left = (time.monotonic() - started) / number * (len(todo) - number) / 60
            say(f"{number} of {len(todo)} mutants, {survived} survived, {left:.0f} min left")
    killed = len(todo) - survived
    say(f"{killed} of {len(changes)} mutants killed, {len(changes) - len(todo)} known to survive")
    if gone := expected - set(map(key, changes)):
        return f"survivors.toml lists mutants that are no more: {sorted(gone)}"
    if survived:
        return "write a test that fails, or list them in survivors.toml with the reason"
    if not args.base and killed < LEAST_KILLED * len(changes):
        return f"fewer than {LEAST_KILLED:.0%} are killed"
    return None


def say(progress: str) -> None:
    """Print progress, apart from the mutants that survive."""
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
