"""Measure what docs/performance.md tells: `make bench`.

It brings up a sandbox of its own, uses it, and wipes it; about three minutes. Figures of a machine
that does something else meanwhile are worth little.
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

ROOT = Path(__file__).parent.parent
NAME = "sandbox-bench"
ROUNDS = 5
REST_SECONDS = 30
"""After which the memory of a sandbox at rest is read."""

IMAGES = {"20 layers of 100 kB": (20, 100_000), "1 layer of 400 MB": (1, 400_000_000)}


def main() -> None:
    """Measure everything, and print a table in Markdown."""
    layout = lifecycle.claim(ROOT, NAME)
    sandbox(layout, "wipe")
    try:
        rows = measure(layout)
    finally:
        sandbox(layout, "wipe")
    print(f"\n| what ({os.cpu_count()} cores) | figure |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |")


def measure(layout: Layout) -> list[tuple[str, str]]:
    """Measure a sandbox from its start to its stop.

    Args:
        layout: The sandbox; nothing of it is there.

    Returns:
        What was measured, and the figure with its unit.
    """
    rows = []
    total, said = timed(lambda: sandbox(layout, "up"))
    rows.append(("`make up` of nothing, tools built", f"{total:.1f} s"))
    first = re.search(r"^pulumi up +([\d.]+) s$", said, re.MULTILINE)
    rows.append(("of it `pulumi up` with its smoke test", f"{first[1] if first else '?'} s"))
    again, _ = timed(lambda: sandbox(layout, "up"))
    rows.append(("`make up` again", f"{again:.1f} s"))
    for command in ("preview", "up --yes --skip-preview", "up --yes", "refresh --yes"):
        arguments = command.split()
        work = partial(run, layout, "pulumi", *arguments)
        figure = f"{median(timed(work)[0] for _ in range(ROUNDS)):.1f} s"
        rows.append((f"`pulumi {command}`, no changes, median of {ROUNDS}", figure))
    for what, (layers, size) in IMAGES.items():
        push, pull = transfer(layout, layers, size)
        rows.append((f"push {what}, then pull", f"{push:.2f} s, {pull:.2f} s"))
    time.sleep(REST_SECONDS)
    rows.append(("memory at rest (PSS)", f"{memory(layout) / 2**20:.0f} MiB"))
    rows.append(("`make down`", f"{timed(lambda: sandbox(layout, 'down'))[0]:.1f} s"))
    rows.append(("`make up` after it", f"{timed(lambda: sandbox(layout, 'up'))[0]:.1f} s"))
    return rows


def transfer(layout: Layout, layers: int, size: int) -> tuple[float, float]:
    """Push an image of random bytes with crane and pull it back, in seconds.

    Args:
        layout: The sandbox.
        layers: How many layers.
        size: Bytes of each.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [f"{folder}/{number}.tar.gz" for number in range(layers)]
        for file in files:
            Path(file).write_bytes(os.urandom(size))
        target = f"{layout.hostname}/bench/image:{layers}"
        environment = {"DOCKER_CONFIG": folder}
        login = ["crane", "auth", "login", layout.hostname, "--username=admin", "--password-stdin"]
        run(layout, *login, given=engine.outputs(layout)["password"], **environment)
        append = ["crane", "append", *(f"--new_layer={file}" for file in files)]
        push, _ = timed(lambda: run(layout, *append, f"--new_tag={target}", **environment))
        pull, _ = timed(
            lambda: run(
                layout, "crane", "pull", "--format=oci", target, f"{folder}/out", **environment
            )
        )
    return push, pull


def memory(layout: Layout) -> int:
    """Add up what all processes of the sandbox take, in bytes; what they share counts once."""
    parents = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            parents[int(process.name)] = int(fields[1])
    inside, total = {find_init(layout)}, 0
    while grown := {pid for pid, parent in parents.items() if parent in inside} - inside:
        inside |= grown
    for pid in inside:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.findall(r"^Pss: +(\d+) kB$", rollup, re.MULTILINE)[0]) * 1024
    return total


def timed(work: Callable[[], str]) -> tuple[float, str]:
    """Do something, and answer how many seconds it took, and what it said."""
    start = time.monotonic()
    said = work()
    return time.monotonic() - start, said


def sandbox(layout: Layout, command: str) -> str:
    """Run one command of the sandbox, and answer what it said."""
    return call([sys.executable, "-m", "sandbox", "--name", layout.name, command], os.environ, "")


def run(layout: Layout, *command: str, given: str = "", **variables: str) -> str:
    """Run a client in the sandbox, and answer what it said."""
    return call(command, engine.environment(layout) | variables, given)


def call(command: Sequence[str], environment: Mapping[str, str], given: str) -> str:
    """Run a command that must succeed."""
    print(f"... {' '.join(command[:6])}", file=sys.stderr)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
