"""Trivy as a process: what it gets, and each way in which it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.scan import trivy
from scripts.scan.trivy import Login, Trivy, TrivyError

LOGIN = Login("pull", "the password")

Program = Callable[[str], Trivy]


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return a function that makes a shell script Trivy; `$report` is where its report goes."""

    def install(script: str) -> Trivy:
        path = tmp_path / "trivy"
        find = 'for x; do case "$x" in --output=*) report="${x#--output=}";; esac; done'
        path.write_text(f"#!/bin/sh\n{find}\n{script}\n")
        path.chmod(0o755)
        return Trivy(path, tmp_path)

    return install


def test_the_password_is_in_no_argument_and_no_environment(program: Program) -> None:
    """Both can be read by whoever looks at processes, and end in crash dumps."""
    script = 'cat /proc/$$/cmdline /proc/$$/environ >"$HOME/../seen"; cat >"$HOME/../stdin"'
    written = program(f'{script}; echo {{}} >"$report"')
    written.scan("registry/app@sha256:1", LOGIN)
    assert LOGIN.password not in (written.folder / "seen").read_text()
    assert (written.folder / "stdin").read_text() == LOGIN.password


def test_what_this_process_has_is_not_in_the_environment_of_trivy(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trivy reads more than sixty variables, such as tokens of clouds."""
    monkeypatch.setenv("TRIVY_SERVER", "http://elsewhere")
    written = program('env >"$HOME/../seen"; echo {} >"$report"')
    written.scan("registry/app@sha256:1", LOGIN)
    own = {line.partition("=")[0] for line in (written.folder / "seen").read_text().splitlines()}
    assert own <= {"HOME", "TMPDIR", "GOMEMLIMIT", "PWD", "SHLVL", "_", "OLDPWD"}


def test_the_login_is_not_sent_to_where_somebody_else_keeps_the_database(program: Program) -> None:
    written = program('echo "$@" >"$HOME/seen"; cat >"$HOME/stdin"')
    with pytest.raises(TrivyError, match="does not say when it was made"):
        written.download("ghcr.io/aquasecurity/trivy-db:2", None)
    said = (written.folder / "seen").read_text()
    assert "--username" not in said
    assert "--insecure" not in said, "nor is its certificate believed, whatever it is"
    assert (written.folder / "stdin").read_text() == ""


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo nothing; exit 3", "it says nothing"),
        ("echo 'INFO a' >&2; echo 'FATAL Fatal error no' >&2; echo '  more' >&2; exit 1", "no$"),
        ("kill -KILL $$", "ended by SIGKILL"),
        ("kill -SEGV $$", "ended by SIGSEGV"),
        ("exit 0", "its report cannot be read"),
        ('echo "{" >"$report"', "its report cannot be read"),
        ('yes [ | head -100000 >"$report"', "its report cannot be read"),
        ('printf "\\377" >"$report"', "its report cannot be read"),
        (f'truncate -s {trivy.MOST_BYTES + 1} "$report"', "larger than"),
        ("printf '\\033[31mred\\r\\n\\nthe password\\377' >&2; exit 1", r"^\.\.\. $"),
        ("yes x | head -c 1000000 >&2; exit 1", "^x$"),
    ],
)
def test_each_way_to_fail_is_a_short_sentence_without_the_password(
    program: Program, script: str, reason: str
) -> None:
    with pytest.raises(TrivyError, match=reason) as caught:
        program(script).scan("registry/app@sha256:1", LOGIN)
    text = str(caught.value)
    assert len(text) <= 2 * trivy.EXCERPT
    assert text.isprintable()
    assert LOGIN.password not in text


def test_a_trivy_that_hangs_is_ended_with_all_that_it_has_started(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trivy, "SCAN_SECONDS", 0.5)
    written = program('trap "" TERM; sleep 600 & echo $! >"$HOME/../child"; sleep 600')
    with pytest.raises(TrivyError, match="not done within"):
        written.scan("registry/app@sha256:1", LOGIN)
    child = int((written.folder / "child").read_text())
    deadline = time.monotonic() + 10
    while _runs(child):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not list(written.folder.glob("tmp*")), "what it has written is gone, too"


def _runs(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("made", ["2026-12-01T01:02:03Z", "2026-12-01T01:02:03.123456789Z"])
def test_the_age_of_the_database_is_what_it_says(program: Program, made: str) -> None:
    written = program("")
    (written.folder / "db").mkdir()
    (written.folder / "db" / "metadata.json").write_text(json.dumps({"UpdatedAt": made}))
    assert written.download("registry/db:2", LOGIN) == 1796086923
