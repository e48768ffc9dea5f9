"""What is told of Trivy's reports, whatever they hold."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.scan.findings import (
    MOST_CHARACTERS,
    MOST_REPOSITORIES,
    SEVERITIES,
    WORST,
    metrics,
    report,
    summary,
)
from scripts.scan.scan import described


def found(**changed: object) -> dict[str, Any]:
    """Return a report with one finding."""
    finding = {
        "VulnerabilityID": "CVE-2026-1",
        "PkgName": "openssl",
        "InstalledVersion": "1",
        "FixedVersion": "2",
        "Severity": "HIGH",
        **changed,
    }
    return {"SchemaVersion": 2, "Results": [{"Vulnerabilities": [finding]}]}


def test_a_summary_counts_each_package_once_and_tells_the_worst() -> None:
    findings = [
        *({**_finding(x), "Severity": "LOW"} for x in range(10)),
        {**_finding(20), "Severity": "CRITICAL", "FixedVersion": ""},
        *[{**_finding(21), "Severity": "CRITICAL"}] * 3,
        {**_finding(22), "Severity": "from the future"},
    ]
    twice = [{"Vulnerabilities": findings}, {"Vulnerabilities": findings}, {}, {"Packages": []}]
    known = summary({"SchemaVersion": 2, "Results": twice})
    assert known["counts"] == [[2, 1], [0, 0], [0, 0], [10, 10], [1, 1]]
    assert [x[:2] for x in known["worst"]][:2] == [["critical", "CVE-21"], ["critical", "CVE-20"]]
    assert len(known["worst"]) == WORST
    assert "old" not in known


def _finding(number: int) -> dict[str, str]:
    return {
        "VulnerabilityID": f"CVE-{number}",
        "PkgName": "p",
        "InstalledVersion": "1",
        "FixedVersion": "2",
    }


def test_a_distribution_that_tells_of_none_any_more_is_told() -> None:
    """Nothing found means nothing then."""
    old = {"SchemaVersion": 2, "Metadata": {"OS": {"EOSL": True}}}
    assert summary(old)["old"]
    assert described(summary(old)).startswith("nothing known, of a distribution")


@pytest.mark.parametrize(
    "odd",
    [
        [],
        None,
        "text",
        {},
        {"SchemaVersion": 3},
        {"SchemaVersion": 2, "Results": {"a": 1}},
        {"SchemaVersion": 2, "Results": [None]},
        {"SchemaVersion": 2, "Results": [{"Vulnerabilities": [1]}]},
        {"SchemaVersion": 2, "Metadata": {"OS": "alpine"}},
    ],
)
def test_what_is_no_report_is_an_error_and_no_image_without_findings(odd: object) -> None:
    with pytest.raises(ValueError, match="its report is"):
        summary(odd)


@pytest.mark.parametrize("hostile", ["<script>", "a\nb", "\x1b[2J", 'x"} 1\n', "ü" * 999, 5, None])
def test_a_hostile_name_is_short_and_printable_wherever_it_goes(hostile: object) -> None:
    """Whoever builds an image chooses the names of its packages."""
    known = summary(found(PkgName=hostile, InstalledVersion=hostile, VulnerabilityID=hostile))
    for text in known["worst"][0]:
        assert text.isascii()
        assert text.isprintable() or not text
        assert len(text) <= MOST_CHARACTERS
    images = {"sha256:1": known}
    lines = metrics(images, {"sha256:1": {"app"}}, {}).splitlines()
    assert all(line.startswith(("#", "registry_")) for line in lines)


def test_metrics_have_a_bounded_number_of_series_and_lose_no_finding() -> None:
    count = MOST_REPOSITORIES + 50
    images = {f"sha256:{x}": summary(found(FixedVersion="")) for x in range(count)}
    repositories = {digest: {f"team/{digest[7:]}"} for digest in images}
    images["sha256:0"] = summary(found(Severity="CRITICAL"))
    text = metrics(images, repositories, {"registry_scan_timestamp_seconds": 1.6})
    series = [line.split() for line in text.splitlines() if line.startswith("registry_v")]
    assert len(series) == 2 * len(SEVERITIES) * (MOST_REPOSITORIES + 1)
    assert sum(int(value) for _, value in series) == count
    assert (
        'registry_vulnerabilities{repository="team/0",severity="critical",fixable="true"} 1' in text
    )
    assert 'registry_vulnerabilities{repository="*",severity="high",fixable="false"} 50' in text
    assert "registry_scan_timestamp_seconds 2\n" in text


def test_an_image_that_fails_is_not_scanned_and_its_findings_still_count() -> None:
    """Or a vulnerable image would be a healthy one as soon as it cannot be read."""
    images = {
        "failed": {**summary(found()), "failed": "no"},
        "new": {},
        "never": {"failed": "no"},
        "good": summary(found()),
    }
    text = metrics(images, {x: {"app"} for x in images}, {})
    assert 'registry_vulnerabilities{repository="app",severity="high",fixable="true"} 2\n' in text
    assert "registry_scanned_images 1\n" in text
    assert "registry_unscanned_images 3\n" in text


def test_a_report_that_has_no_room_keeps_the_worst_and_says_so() -> None:
    images = {x: summary(found(Severity=x.upper())) for x in ("low", "critical", "medium")}
    repositories = {x: {"team/app"} for x in images}
    told = report(images, repositories, {"time": 1}, ["*"], 2)
    assert list(told["images"]) == ["critical", "medium"]
    assert told["cut"]
    assert told["time"] == 1
    assert not report(images, repositories, {}, ["*"], 3)["cut"]
    assert not report(images, repositories, {}, ["other/*"], 3)["images"]
