"""Measure the figures in docs/performance.md: `make bench`.

It starts a sandbox of its own, uses it, and wipes it; about three minutes. Run it on an otherwise
idle machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from statistics import median

from sandbox import lifecycle
from sandbox.enclosure.enclosure import find_init
from sandbox.engine import engine
from sandbox.layout import Layout
from tests.sandbox.crane import new_layer

ROOT = Path(__file__).parent.parent
NAME = "sandbox-bench"
STARTS, ROUNDS = 3, 15
REST_SECONDS = 30
"""After which the memory of an idle sandbox is measured."""

ONLY_IMPORTS = {
    "Pulumi.yaml": """\
name: only-imports
runtime:
  name: python
  options:
    toolchain: pip
    virtualenv: {venv}
""",
    "__main__.py": """\
import pulumi
import pulumi_digitalocean
import pulumi_kubernetes.apiextensions
import pulumi_kubernetes.apps.v1
import pulumi_kubernetes.batch.v1
import pulumi_kubernetes.core.v1
import pulumi_kubernetes.networking.v1
import pulumi_random
""",
}
"""The files of a program that imports the same modules of the SDKs, and does nothing else."""

IMAGES = {"20 layers of 100 kB": (20, 100_000), "1 layer of 400 MB": (1, 400_000_000)}


def main() -> None:
    """Measure everything, and print a Markdown table."""
    layout = lifecycle.claim(ROOT, NAME)
    try:
        rows = measure(layout)
    finally:
        sandbox(layout, "wipe")
    print(f"\n| what ({os.cpu_count()} cores) | figure |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


def measure(layout: Layout) -> list[tuple[str, str]]:
    """Measure a sandbox from start to stop.

    Args:
        layout: The sandbox.

    Returns:
        Rows of a description and a figure with its unit.
    """
    rows = []
    totals, updates = zip(*(start(layout) for _ in range(STARTS)), strict=True)
    what = f"`make up` of nothing, tools built, median of {STARTS}"
    rows.append((what, f"{median(totals):.1f} s"))
    rows.append(("of it `pulumi up` with its smoke test", f"{median(updates):.1f} s"))
    again, _ = timed(lambda: sandbox(layout, "up"))
    rows.append(("`make up` again", f"{again:.1f} s"))
    rows += unchanged(layout)
    for what, (layers, size) in IMAGES.items():
        push, pull = transfer(layout, layers, size)
        rows.append((f"push {what}, then pull", f"{push:.2f} s, {pull:.2f} s"))
    time.sleep(REST_SECONDS)
    rows.append(("memory when idle (PSS)", f"{memory(layout) / 2**20:.0f} MiB"))
    rows.append(("`make down`", f"{timed(lambda: sandbox(layout, 'down'))[0]:.1f} s"))
    rows.append(("`make up` after it", f"{timed(lambda: sandbox(layout, 'up'))[0]:.1f} s"))
    return rows


def start(layout: Layout) -> tuple[float, float]:
    """Return how many seconds it takes from nothing, and the first `pulumi up` of that."""
    sandbox(layout, "wipe")
    total, output = timed(lambda: sandbox(layout, "up"))
    update = re.search(r"^pulumi up +([\d.]+) s$", output, re.MULTILINE)
    assert update, output  # noqa: S101 (every `up` prints it)
    return total, float(update[1])


def unchanged(layout: Layout) -> list[tuple[str, str]]:
    """Measure commands that change nothing, each in turn with that of a program that only imports.

    Args:
        layout: The sandbox, with its stack up to date.

    Returns:
        Rows as :func:`measure` does, with the ratio of the two.
    """
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, content in ONLY_IMPORTS.items():
            (Path(folder) / name).write_text(content.format(venv=ROOT / "venv"))
        pulumi = (["pulumi"], ["pulumi", "--cwd", folder])
        run(layout, *pulumi[1], "stack", "init", layout.name)
        run(layout, *pulumi[1], "up", "--yes", "--skip-preview")
        for command in ("preview", "up --yes --skip-preview", "up --yes", "refresh --yes"):
            seconds: tuple[list[float], list[float]] = [], []
            for _ in range(ROUNDS):
                for program, measured in zip(pulumi, seconds, strict=True):
                    measured.append(timed(partial(run, layout, *program, *command.split()))[0])
            own, imports = map(median, seconds)
            figure = f"{own:.1f} s, {own / imports:.2f} times {imports:.1f} s"
            what = f"`pulumi {command}`, no changes, median of {ROUNDS}; the same of imports alone"
            rows.append((what, figure))
    return rows


def transfer(layout: Layout, layers: int, size: int) -> tuple[float, float]:
    """Push an image of random bytes with crane and pull it back, in seconds.

    Args:
        layout: The sandbox.
        layers: The number of layers.
        size: The size of each, in bytes.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/{number}.tar.gz" for number in range(layers)]
        for file in files:
            new_layer(Path(file), size)
        target = f"{layout.hostname}/bench/image:{layers}"
        environment = {"DOCKER_CONFIG": folder}
        login = ["crane", "auth", "login", layout.hostname, "--username=admin", "--password-stdin"]
        run(layout, *login, stdin=engine.outputs(layout)["password"], **environment)
        append = ["crane", "append", *(f"--new_layer={file}" for file in files)]
        push, _ = timed(lambda: run(layout, *append, f"--new_tag={target}", **environment))
        pull, _ = timed(
            lambda: run(
                layout, "crane", "pull", "--format=oci", target, f"{folder}/out", **environment
            )
        )
    return push, pull


def memory(layout: Layout) -> int:
    """Return the proportional set size of all processes of the sandbox, in bytes."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            parents[int(process.name)] = int(fields[1])
    inside, total = {find_init(layout.node)}, 0
    while grown := {pid for pid, parent in parents.items() if parent in inside} - inside:
        inside |= grown
    for pid in inside:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss: +(\d+) kB$", rollup, re.MULTILINE)[0]) * 1024
    return total


def timed(work: Callable[[], str]) -> tuple[float, str]:
    """Return how many seconds the work took, and its result."""
    start = time.monotonic()
    output = work()
    return time.monotonic() - start, output


def sandbox(layout: Layout, command: str) -> str:
    """Run a command of the sandbox; return its output."""
    return call([sys.executable, "-m", "sandbox", "--name", layout.name, command], os.environ, "")


def run(layout: Layout, *command: str, stdin: str = "", **variables: str) -> str:
    """Run a client in the sandbox; return its output."""
    return call(command, engine.environment(layout) | variables, stdin)


def call(command: Sequence[str], environment: Mapping[str, str], stdin: str) -> str:
    """Run a command that must succeed; return its output."""
    print(f"... {' '.join(command[:6])}", file=sys.stderr)
    result = subprocess.run(
        command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    if result.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}")
    return result.stdout


if __name__ == "__main__":
    main()
