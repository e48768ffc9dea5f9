"""Commands of real clients, each against a plain registry and against the program."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.soak.both import Both
from tests.soak.differences import differences, unchanging, unknown
from tests.soak.recorder import Exchange, Recorder

SECONDS = 300
DIGEST = re.compile("sha256(:|%3A|-)[0-9a-f]{64}")
ASKS = re.compile("HEAD |GET [^ ]*/manifests/")
"""Requests that clients send in parallel, and leave out if one before has told them enough."""

TIMELESS = {"status", "content-type"}
"""What is compared of responses to commands that do not do the same twice."""


@dataclass(frozen=True)
class Command:
    """A command of a client.

    Attributes:
        user: Who runs it.
        text: Its words; ``{host}`` stands for the registry, ``{folder}`` for a folder of the
            registry's own, ``{shared}`` for one that is the same for both.
        refused: Whether the user may not do that here; the plain registry is not asked then.
        kept: Whether it pushes another image to a tag that stays what it is; likewise.
        fails: Whether it fails with both, since something is not there.
        timed: Whether what it pushes has the time in it, and so another digest each time.
    """

    user: str
    text: str
    refused: bool = False
    kept: bool = False
    fails: bool = False
    timed: bool = False


@dataclass(frozen=True)
class Run:
    """What has become of a command."""

    status: int
    output: str
    exchanges: list[Exchange]


class Clients:
    """Runs commands, and says how what they do differs.

    Args:
        tools: The folder of the sandbox's tools.
        folder: An empty one.
        environment: More variables of all commands, in whose values the same stands for the same.
    """

    def __init__(
        self, both: Both, tools: Path, folder: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.used: set[str] = set()
        """Rows of the table of differences that have been met."""
        self._both, self._folder = both, folder
        path = f"{tools}:{os.environ['PATH']}"
        self._environment = {"PATH": path, **(environment or {})}
        self.shared = folder / "shared"
        self.shared.mkdir(parents=True)

    def own(self, recorder: Recorder) -> Path:
        """Return the folder of what runs against one registry."""
        folder = self._folder / f"{recorder.port}"
        folder.mkdir(exist_ok=True)
        return folder

    def run(self, recorder: Recorder, command: Command) -> Run:
        """Run a command against one registry."""
        own = self.own(recorder)
        home = own / (command.user or "nobody at all")
        home.mkdir(parents=True, exist_ok=True)
        config = home / "config.json"
        if not config.exists():
            token = b64encode(f"{command.user}:{command.user}".encode()).decode()
            logins = {} if not command.user else {recorder.address: {"auth": token}}
            config.write_text(json.dumps({"auths": logins}))
        places = {"host": recorder.address, "folder": own, "shared": self.shared}
        own_environment = {k: v.format(**places) for k, v in self._environment.items()}
        result = subprocess.run(
            shlex.split(command.text.format(**places)),
            env=os.environ
            | own_environment
            | {"HOME": str(home), "DOCKER_CONFIG": str(home), "REGISTRY_AUTH_FILE": str(config)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            cwd=own,
        )
        return Run(result.returncode, result.stdout, recorder.take())

    def problems(self, command: Command) -> list[str]:
        """Run a command, and return what is wrong."""
        here = self.run(self._both.here, command)
        if command.refused:
            found = refusal_problems(here)
        elif command.kept:
            found = kept_problems(here)
        else:
            plain = self.run(self._both.plain, command)
            found = self._compare(plain, here, timed=command.timed)
            if (plain.status != 0) != command.fails:
                found.append(f"the plain registry's: {plain.status} {plain.output[-500:]}")
        return [f"{command.user}: {command.text}: {x}" for x in found]

    def _compare(self, plain: Run, here: Run, *, timed: bool) -> list[str]:
        problems = []
        if plain.status != here.status:
            problems.append(f"ends with {here.status}, not {plain.status}: {here.output[-500:]}")
        first, second = (_by_request(x.exchanges, timed=timed) for x in (plain, here))
        for request in sorted({*first, *second}):
            there, got = first[request], second[request]
            if len(there) != len(got) and not ASKS.match(request):
                problems.append(f"{request} is sent {len(got)} times, not {len(there)}")
            for one, other in zip(there, got, strict=False):
                found = differences(one, other)
                problems += unknown(
                    [x for x in found if not timed or x.field in TIMELESS], self.used
                )
        return [*problems, *sent_twice(here.exchanges)]


def _by_request(exchanges: Sequence[Exchange], *, timed: bool) -> defaultdict[str, list[Exchange]]:
    """Return exchanges by what was asked: method, target, body, and headers that mean something."""
    found = defaultdict(list)
    for x in sorted(exchanges, key=lambda x: (x.status, unchanging(x.content.decode("latin-1")))):
        meaning = {k: v for k, v in x.sent.items() if k in {"range", "content-type"}}
        # docker's order is another one each time.
        meaning["accept"] = ", ".join(sorted(x.sent.get("accept", "").split(", ")))
        content = f"{len(x.body)} bytes ({hash(x.body)})" if x.body else "no body"
        if timed:
            content = "a body" if x.body else "none"
        text = f"{x.method} {unchanging(x.target)} {meaning}, {content}"
        found[DIGEST.sub("DIGEST", text) if timed else text].append(x)
    return found


def sent_twice(exchanges: Sequence[Exchange]) -> list[str]:
    """Return which layers went to one repository more than once."""
    uploads = Counter(
        (x.target.split("/blobs/")[0], x.body)
        for x in exchanges
        if x.body and x.method in {"PATCH", "PUT"} and "/blobs/uploads/" in x.target
    )
    return [
        f"{count} uploads of {len(body)} bytes to {repository}"
        for (repository, body), count in uploads.items()
        if count > 1
    ]


def kept_problems(run: Run) -> list[str]:
    """Return what is wrong about a push of another image to a tag that stays what it is."""
    if not run.status or not any(x.status == 403 for x in run.exchanges):
        return [f"is not refused: {run.status} {run.output[-500:]}"]
    if "immutable.kept lets this tag neither change nor go" not in run.output:
        return [f"does not say why: {run.output[-500:]}"]
    return []


def refusal_problems(run: Run) -> list[str]:
    """Return what is wrong about a command that was to be refused."""
    problems = []
    refused = [x for x in run.exchanges if x.status == 403]
    if not run.status or not refused:
        problems.append(f"is not refused: {run.status} {run.output[-500:]}")
    if not any(x in run.output.lower() for x in ("denied", "403", "forbidden")):
        problems.append(f"does not say so: {run.output[-500:]}")
    layers = [x for x in run.exchanges if x.body and "/blobs/" in x.target]
    if layers:
        problems.append(f"sends layers before it is told: {layers[0].method} {layers[0].target}")
    return problems
