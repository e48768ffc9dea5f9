"""What Jobs tell users on the page: which report says what, and what happens when none can."""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import re
import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.registry.user_rules import glob
from components.reports import rights_by_key, rights_key
from scripts.maintenance.references import References
from scripts.maintenance.usage import usage
from scripts.maintenance.usage_report import usage_report
from scripts.maintenance.walk import Walk
from scripts.shared import api_server, reports
from tests.unit.scripts.fake_bucket import OF_BOTH, A, B, C, FakeBucket, Image, digest_of
from tests.unit.scripts.leases import serving

USERS = [["*"], ["team/*", "base"], ["base", "team/*"], ["nothing"], ["*", "base"]]


class ConfigMap:
    """A stand-in for the API server, with one ConfigMap.

    Attributes:
        data: Its `binaryData`; None if there is no ConfigMap.
        status: What is responded to each patch, if it is not 0.
        calls: The methods of all requests.
    """

    def __init__(self) -> None:
        self.data: dict[str, str] | None = {}
        self.status = 0
        self.calls: list[str] = []
        self.token = "token-1"

    def respond(self, method: str, path: str, kind: str, body: Any) -> tuple[int, Any]:
        assert path == "/api/v1/namespaces/registry/configmaps/registry-reports"
        self.calls.append(method)
        if self.data is None:
            return 404, {}
        if method == "GET":
            # A ConfigMap without content has no such field.
            return 200, {"binaryData": self.data} if self.data else {}
        assert (method, kind) == ("PATCH", "application/merge-patch+json")
        if self.status:
            return self.status, {}
        merged = {**self.data, **body["binaryData"]}
        self.data = {key: value for key, value in merged.items() if value is not None}
        return 200, {"binaryData": self.data}


@pytest.fixture
def config_map(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConfigMap]:
    monkeypatch.setattr(api_server, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(reports, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(ssl, "create_default_context", lambda cafile: Path(cafile).read_text())
    stand_in = ConfigMap()
    with serving(stand_in) as url:
        monkeypatch.setattr(api_server, "URL", url)
        yield stand_in


@pytest.fixture
def args(tmp_path: Path) -> argparse.Namespace:
    (tmp_path / "token").write_text("token-1")
    (tmp_path / "ca.crt").write_text("the CA")
    parser = argparse.ArgumentParser()
    reports.add_arguments(parser)
    arguments = ["--reports=registry/registry-reports", f"--credentials={tmp_path}"]
    return parser.parse_args([*arguments, f"--rights={rights_by_key(USERS)}"])


def read(config_map: ConfigMap, kind: str, pull: Sequence[str]) -> Any:
    assert config_map.data is not None
    content = base64.b64decode(config_map.data[f"{kind}.{rights_key(pull)}.json.gz"])
    return json.loads(gzip.decompress(content))


def make(patterns: Sequence[str], items: int) -> object:
    return {"patterns": patterns, "items": items}


def test_there_is_one_report_for_users_of_the_same_rights(
    config_map: ConfigMap, args: argparse.Namespace
) -> None:
    reports.publish(args, "usage", make)
    assert config_map.data is not None
    assert len(config_map.data) == 3
    assert read(config_map, "usage", USERS[1])["patterns"] == ["base", "team/*"]
    assert rights_key(USERS[1]) == rights_key(USERS[2])
    assert rights_key(USERS[0]) == rights_key(USERS[4])


def test_what_is_no_longer_anybody_s_goes_and_what_another_job_has_written_stays(
    config_map: ConfigMap, args: argparse.Namespace
) -> None:
    """A user whose rights were taken away must not be shown the report of before."""
    config_map.data = {"usage.0123456789abcdef.json.gz": "b2xk", "findings.x.json.gz": "b3RoZXI="}
    reports.publish(args, "usage", make)
    assert "usage.0123456789abcdef.json.gz" not in config_map.data
    assert config_map.data["findings.x.json.gz"] == "b3RoZXI="


@pytest.mark.parametrize("status", [403, 404, 409, 422, 500])
def test_an_api_server_that_refuses_is_told_of_and_fails_nothing(
    config_map: ConfigMap,
    args: argparse.Namespace,
    capsys: pytest.CaptureFixture[str],
    status: int,
) -> None:
    """What is shown must not decide whether images are looked after."""
    config_map.status = status
    reports.publish(args, "usage", make)
    assert capsys.readouterr().out.startswith("the page does not show this: ")


@pytest.mark.parametrize("what", ["ConfigMap", "token", "ca.crt", "server"])
def test_what_is_missing_is_told_of_and_fails_nothing(
    config_map: ConfigMap,
    args: argparse.Namespace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    if what == "ConfigMap":
        config_map.data = None
    elif what == "server":
        monkeypatch.setattr(api_server, "URL", "http://127.0.0.1:1")
    else:
        (args.credentials / what).unlink()
    reports.publish(args, "usage", make)
    assert capsys.readouterr().out.startswith("the page does not show this: ")


def test_nobody_is_asked_without_a_config_map(config_map: ConfigMap) -> None:
    parser = argparse.ArgumentParser()
    reports.add_arguments(parser)
    reports.publish(parser.parse_args([]), "usage", make)
    assert not config_map.calls


def test_all_reports_of_two_kinds_fit_into_a_config_map_with_as_many_items_as_they_can(
    config_map: ConfigMap, args: argparse.Namespace
) -> None:
    """The API server refuses more than a MiB, and nobody would be shown anything."""
    noise = [os.urandom(16).hex() for _ in range(200_000)]
    reports.publish(args, "usage", lambda _, items: noise[:items])
    reports.publish(args, "findings", lambda _, items: noise[:items])
    assert config_map.data is not None
    sizes = [len(base64.b64decode(x)) + len(key) for key, x in config_map.data.items()]
    assert sum(sizes) < 2**20 - 4096
    assert len(read(config_map, "usage", ["*"])) > 8000


def test_one_that_is_too_large_whatever_is_left_out_is_the_least_that_can_be(
    config_map: ConfigMap, args: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_BYTES", 1)
    reports.publish(args, "usage", make)
    assert read(config_map, "usage", ["*"])["items"] == 0


NAMES = ("a", "base", "base2", "base/x", "team", "team/app", "team/app/deep", "teams/app", "b.se")


@pytest.mark.parametrize("pattern", [*NAMES, "*", "team/*", "base/*"])
def test_a_pattern_is_of_the_same_repositories_as_in_the_auth_proxy(pattern: str) -> None:
    for name in NAMES:
        pulled = bool(re.fullmatch(glob(pattern), name))
        assert reports.may_pull([pattern], name) == pulled, name


@pytest.fixture
def bucket() -> FakeBucket:
    bucket = FakeBucket()
    for seconds, (repository, image, tag) in enumerate(
        [("team/app", A, "1"), ("team/app", B, "2"), ("secret", C, "1")]
    ):
        bucket.clock = 1000 + seconds
        bucket.push(repository, image, tag)
    return bucket


def report(bucket: FakeBucket, patterns: Sequence[str], items: int = 100) -> dict[str, Any]:
    walk = Walk(bucket, References(bucket))
    days = {"2026-11-25": {"team/app": 5, "secret": 7}}
    return usage_report(walk, usage(walk), days, patterns, items)


def tag(seconds: int, image: Image, *children: Image) -> list[Any]:
    """Return what a report has of a tag."""
    parts = {x for one in (image, *children) for x in (one.manifest, *one.layers)}
    return [seconds, digest_of(image.manifest)[7:15], sum(map(len, parts))]


def test_the_size_of_an_index_is_that_of_its_images(bucket: FakeBucket) -> None:
    bucket.push("team/app", OF_BOTH, "both")
    assert report(bucket, ["*"])["pushed"]["team/app"]["both"] == tag(1002, OF_BOTH, A, C)


def test_a_report_tells_nothing_of_what_its_reader_may_not_pull(bucket: FakeBucket) -> None:
    """Not even which of their layers others have: a push of a guess would find out."""
    told = report(bucket, ["team/*"])
    assert "secret" not in json.dumps(told)
    assert told.keys() == {"time", "cut", "repositories", "pushed"}
    bucket.push("secret", A, "2")
    again = report(bucket, ["team/*"])
    assert again["repositories"] == told["repositories"]


def test_who_may_pull_everything_is_told_everything(bucket: FakeBucket) -> None:
    told = report(bucket, ["*"])
    assert {name for name, *_ in told["repositories"]} == {"team/app", "secret"}
    assert told["pushed"]["team/app"]["2"] == tag(1001, B)
    assert "secret, 2026-11-25" in told["chart"]
    assert not told["cut"]


def test_the_oldest_tags_are_left_out_first_and_that_is_told(bucket: FakeBucket) -> None:
    told = report(bucket, ["*"], items=2)
    assert told["pushed"] == {
        "secret": {"1": tag(1002, C)},
        "team/app": {"2": tag(1001, B)},
    }
    assert told["cut"]
    assert not report(bucket, ["*"], items=3)["cut"]
