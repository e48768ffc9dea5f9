"""A night comes back, and the command says what it needs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from scripts.client import restore
from scripts.client.bring_back import RestoreError
from scripts.client.restore import Restore
from scripts.maintenance.keys import blob_key
from tests.unit.scripts.fake_bucket import A, B, C, FakeBucket, Image, image
from tests.unit.scripts.restoring import HOUR, BucketRegistry, look, push


@pytest.fixture
def bucket() -> FakeBucket:
    bucket = FakeBucket()
    push(bucket, A, 0.5)
    look(bucket, 1)
    return bucket


@pytest.fixture
def night(bucket: FakeBucket) -> FakeBucket:
    """Have a bucket of which d was deleted on one evening, and in the night a, b, e; c changed."""
    for tag, pushed in (("b", B), ("c", C), ("d", B), ("e", image(b"e"))):
        push(bucket, pushed, 1.5, tag)
    bucket.push("other", C, "a")
    look(bucket, 2)
    bucket.delete_tag("r", "d")
    look(bucket, 3)
    for tag in "abe":
        bucket.delete_tag("r", tag)
    bucket.delete_tag("other", "a")
    push(bucket, A, 3.5, "c")
    look(bucket, 4)
    return bucket


def test_a_night_comes_back(night: FakeBucket) -> None:
    lines = list(Restore(night, BucketRegistry(night)).all("r", 3.5 * HOUR))
    assert sorted(line.split("@")[0] for line in lines) == ["r:a", "r:b", "r:e"]
    assert night.pulls("r", A, "a")
    assert night.pulls("r", B, "b")
    assert night.pulls("r", A, "c"), "what was pushed in the night stays"
    assert not night.pulls("r", B, "d")
    assert not night.pulls("other", C, "a")
    (line,) = Restore(night, BucketRegistry(night)).all("", 3.5 * HOUR)
    assert line == f"other:a@{C.digest} is back"
    (line,) = Restore(night, BucketRegistry(night)).all("", 3.5 * HOUR)
    assert line == "nothing is known to be gone since 1970-01-01 03:30 UTC"


def test_what_is_gone_for_good_keeps_nothing_else_from_coming_back(night: FakeBucket) -> None:
    del night.stored[blob_key(B.digest)]
    restoring = Restore(night, BucketRegistry(night)).all("", 3.5 * HOUR)
    lines = []
    with pytest.raises(RestoreError, match=f"r:b, last seen on .* manifest {B.digest} is not"):
        for line in restoring:
            lines.append(line)  # noqa: PERF402 - the error comes last
    assert sorted(line.split("@")[0] for line in lines) == ["other:a", "r:a", "r:e"]


def test_a_tag_that_went_twice_comes_back_as_it_was_last() -> None:
    bucket = FakeBucket()
    for hours, pushed in enumerate((A, B), 1):
        push(bucket, pushed, hours)
        look(bucket, hours + 0.3)
        bucket.delete_tag("r", "a")
        look(bucket, hours + 0.6)
    list(Restore(bucket, BucketRegistry(bucket)).all("", 0))
    assert bucket.pulls("r", B, "a")


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a local time that is not UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("new_york")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["r", "a"], A),
        (["r", "a", "--at=1970-01-01T09:29"], A),
        (["r", "a", "--at=1970-01-01T11:30+02:00"], B),
        (["r", "a", "--at=1970-01-01T09:30Z"], B),
        (["r", "--all", "--since=1970-01-02"], C),
        (["--all", "--since=1970-01-02"], C),
        (["r", A.digest], None),
    ],
)
def test_the_command_does_what_it_is_asked_for(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, arguments: list[str], named: Image | None
) -> None:
    for hours, pushed in ((9.5, B), (19.5, C), (29.5, A)):
        push(bucket, pushed, hours)
        look(bucket, hours + 0.5)
    if named in {None, C}:
        push(bucket, C, 30)
        look(bucket, 30)
        bucket.delete_manifest("r", C.digest)
        bucket.delete_manifest("r", A.digest)
        look(bucket, 31)
    elif named is A:
        push(bucket, B, 30)
        look(bucket, 30.5)
    assert command(bucket, monkeypatch, *arguments) == 0
    assert bucket.pulls("r", named, "a") if named else bucket.pulls("r", A)


def test_a_failure_is_said_and_is_the_exit_status(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(bucket, monkeypatch, "r", B.digest) == 1
    message = f"FAILED: r@{B.digest} is not back: the manifest {B.digest} is not in the bucket\n"
    assert capsys.readouterr().out == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["r", "a", "--at=yesterday"], "yesterday is no time such as 2026-11-25T18:00"),
        (["team/app:1"], "team/app:1 is no repository such as team/app; a tag is an argument of"),
        (["Team"], "Team is no repository"),
        (["--all"], "--all and --since TIME go together"),
        (["--since=2026-11-25"], "--all and --since TIME go together"),
        (["r", "a", "--all", "--since=2026-11-25"], "without a tag"),
        (["r", "--at=2026-11-25"], "--at TIME needs a tag"),
        (["r", "--registry=x", "--username=y"], "needs --username and --password-file"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    bucket: FakeBucket,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        command(bucket, monkeypatch, *arguments)
    assert message in capsys.readouterr().err


LOGIN = ("--username=me", "--password-file=PASSWORD")


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], ("https://registry.example.com", "Basic YWRtaW46czNjcjN0")),
        (["--storage=FILE"], None),
        (
            ["--storage=FILE", "--registry=other.example.com", *LOGIN],
            ("https://other.example.com", "Basic bWU6aHVudGVyMg=="),
        ),
        (
            ["--registry=http://127.0.0.1:5000", *LOGIN],
            ("http://127.0.0.1:5000", "Basic bWU6aHVudGVyMg=="),
        ),
    ],
)
def test_the_registry_is_that_of_the_stack_or_the_one_that_is_given(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    arguments: list[str],
    asked: tuple[str, str] | None,
) -> None:
    outputs = {"registry": "registry.example.com", "username": "admin", "password": "s3cr3t"}
    monkeypatch.setattr(restore, "stack_output", lambda: outputs)
    (tmp_path / "PASSWORD").write_text("hunter2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["restore", "r", *arguments])
    registry = restore.registry_of(restore.arguments())
    assert (registry and (registry.url, registry.authorization)) == asked


def test_a_stack_without_a_registry_is_said(
    bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(restore, "stack_output", lambda: {"readme": ""})
    monkeypatch.setattr(restore, "objects_of", lambda _: nullcontext(bucket))
    monkeypatch.setattr(sys, "argv", ["restore", "r", "a"])
    assert restore.main() == 1
    assert capsys.readouterr().out == (
        "FAILED: the stack has no registry; to create it: pulumi up\n"
    )


def command(bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command, and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["restore", *arguments])
    monkeypatch.setattr(restore, "objects_of", lambda _: nullcontext(bucket))
    monkeypatch.setattr(restore, "registry_of", lambda _: BucketRegistry(bucket))
    return restore.main()
