"""Trivy as a process that is bounded in time and memory, and asks nobody but the registry.

https://trivy.dev/docs/latest/guide/references/configuration/cli/trivy_image/
"""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

MEMORY_MIB = 768
"""How much memory one run may take beside the database, which the kernel reads as it needs it."""

_MEMORY_GOAL = f"{MEMORY_MIB * 3 // 4}MiB"

DOWNLOAD_SECONDS = 15 * 60
SCAN_SECONDS = 10 * 60

MOST_BYTES = 64 * 2**20
"""The longest report that is read: a finding takes 2 kB."""

EXCERPT = 300

_ALWAYS = ("--quiet", "--no-progress", "--skip-version-check", "--disable-telemetry")

_SCAN = (
    *("--image-src=remote", "--scanners=vuln", "--format=json", "--list-all-pkgs=false"),
    *("--skip-db-update", "--skip-java-db-update", "--offline-scan"),
)


class TrivyError(Exception):
    """Trivy has failed, or was ended; says why."""


class Login(NamedTuple):
    """Who may pull from the registry."""

    username: str
    password: str


class Trivy:
    """Trivy, with a folder of its own.

    Args:
        program: The program.
        folder: A folder, which has room for the database.
    """

    def __init__(self, program: Path, folder: Path) -> None:
        self.program, self.folder = program, folder

    def download(self, database: str, login: Login | None) -> float:
        """Download the database, and return when it was made, in seconds since 1970.

        Args:
            database: Where it is.
            login: Whom to log in as, without TLS; None where anybody may pull, by TLS.

        Raises:
            TrivyError: It cannot be downloaded, or is of another version of Trivy.
        """
        self._run(["--download-db-only", f"--db-repository={database}"], login, DOWNLOAD_SECONDS)
        self._make_java_database()
        try:
            metadata = json.loads((self.folder / "db" / "metadata.json").read_text())
            # Python before 3.11 reads neither Z nor nanoseconds.
            made = re.sub(r"(\.\d+)?Z$", "+00:00", metadata["UpdatedAt"])
            return datetime.fromisoformat(made).timestamp()
        except (OSError, ValueError, LookupError, TypeError):
            raise TrivyError(f"{database} does not say when it was made") from None

    def scan(self, image: str, login: Login) -> Any:  # noqa: ANN401 - JSON
        """Return Trivy's report about an image.

        Raises:
            TrivyError: There is none.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            report = Path(folder) / "report.json"
            arguments = [*_SCAN, f"--output={report}", image]
            self._run(arguments, login, SCAN_SECONDS, Path(folder))
            try:
                if report.stat().st_size > MOST_BYTES:
                    raise TrivyError(f"its report is larger than {MOST_BYTES} bytes")
                return json.loads(report.read_bytes())
            except (OSError, ValueError, RecursionError) as error:
                raise TrivyError(f"its report cannot be read: {error}"[:EXCERPT]) from None

    def _make_java_database(self) -> None:
        """Write an index of Java archives that has none.

        It tells which library an archive is that does not say so itself, and takes more than a GB.
        Without an index, Trivy fails on each image with an archive; with an empty one, it finds
        those that say what they are:
        https://github.com/aquasecurity/trivy/blob/v0.76.2/pkg/javadb/client.go
        """
        folder = self.folder / "java-db"
        folder.mkdir(exist_ok=True)
        with closing(sqlite3.connect(folder / "trivy-java.db")) as database:
            database.executescript(
                "CREATE TABLE artifacts(id INTEGER PRIMARY KEY, group_id TEXT, artifact_id TEXT);"
                "CREATE TABLE indices"
                "(artifact_id INTEGER, version TEXT, sha1 BLOB, archive_type TEXT);"
            )
        never = "2999-01-01T00:00:00Z"
        metadata = {"Version": 1, "NextUpdate": never, "UpdatedAt": never, "DownloadedAt": never}
        (folder / "metadata.json").write_text(json.dumps(metadata))

    def _run(
        self,
        arguments: Sequence[str],
        login: Login | None,
        seconds: float,
        temporary: Path | None = None,
    ) -> None:
        """Run Trivy to its end, or to the end of its time.

        Raises:
            TrivyError: It fails.
        """
        command = [str(self.program), "image", f"--cache-dir={self.folder}", *_ALWAYS]
        if login:
            command += ["--insecure", f"--username={login.username}", "--password-stdin"]
        folder = temporary or self.folder
        with tempfile.TemporaryFile(dir=folder) as said:
            process = subprocess.Popen(
                [*command, *arguments],
                # All of it: what this process has is none of Trivy's business.
                env={"HOME": str(folder), "TMPDIR": str(folder), "GOMEMLIMIT": _MEMORY_GOAL},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=said,
                cwd=self.folder,
                start_new_session=True,
            )
            try:
                _limit_memory(process.pid)
                process.communicate(login.password.encode() if login else b"", seconds)
            except subprocess.TimeoutExpired:
                raise TrivyError(f"not done within {seconds:.0f} s") from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if status := process.returncode:
                said.seek(max(said.seek(0, os.SEEK_END) - 2**16, 0))
                raise TrivyError(_reason(status, said.read().decode(errors="replace"), login))


def _limit_memory(process: int) -> None:
    # Go ends if it gets no more; the kernel would end all that is in the container. What is mapped
    # from files, such as the database, does not count: setrlimit(2).
    limit = (MEMORY_MIB * 2**20, MEMORY_MIB * 2**20)
    with suppress(ProcessLookupError):
        resource.prlimit(process, resource.RLIMIT_DATA, limit)


def _reason(status: int, said: str, login: Login | None) -> str:
    """Return why Trivy has failed: its last error, without what a terminal would interpret."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    lines = [line for line in said.splitlines() if line.strip()] or ["it says nothing"]
    fatal = [x for x in lines if "fatal" in x.lower()]
    text = (fatal or lines)[-1]
    if login:
        text = text.replace(login.password, "...")
    return re.sub(r"[^ -~]+", " ", text)[-EXCERPT:]
