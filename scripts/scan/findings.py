"""What is known of images: a summary of Trivy's reports, for the page, for metrics and for the log.

A report of Trivy: https://trivy.dev/docs/latest/guide/configuration/reporting/#json
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from scripts.shared.reports import may_pull

SEVERITIES = ("critical", "high", "medium", "low", "unknown")

WORST = 5
"""How many findings of an image are told one by one."""

MOST_CHARACTERS = 80
"""How much is told of a name, which whoever has built the image may have chosen."""

MOST_REPOSITORIES = 100
"""How many repositories have metrics of their own; the others have theirs together."""

Image = dict[str, Any]
"""What is known of an image, as JSON:

- `tried`: when it was last scanned, or was to be, in seconds since 1970;
- `failed`: why that did not work, if it did not;
- `scanned`: when it was last scanned; the rest is of that time;
- `counts`: for each of :data:`SEVERITIES` the number of findings, and of those with a fix;
- `worst`: up to :data:`WORST` of them: severity, ID, package, version, version with the fix;
- `old`: whether its distribution no longer tells of vulnerabilities.
"""


def summary(report: Any) -> Image:  # noqa: ANN401 - JSON
    """Return `counts`, `worst` and `old` of a report.

    Raises:
        ValueError: It is no report.
    """
    try:
        if report["SchemaVersion"] != 2:
            raise ValueError("its report is of another version")
        found = {
            tuple(_text(x.get(key)) for key in _KEYS)
            for result in report.get("Results") or []
            for x in result.get("Vulnerabilities") or []
        }
        old = ((report.get("Metadata") or {}).get("OS") or {}).get("EOSL") is True
    except (LookupError, TypeError, AttributeError):
        raise ValueError("its report is not understood") from None
    counts = [[0, 0] for _ in SEVERITIES]
    rows = []
    for name, *rest, fix in found:
        severity = name.lower() if name.lower() in SEVERITIES else "unknown"
        count = counts[SEVERITIES.index(severity)]
        count[0] += 1
        count[1] += bool(fix)
        rows.append((SEVERITIES.index(severity), not fix, [severity, *rest, fix]))
    worst = [row for _, _, row in sorted(rows)[:WORST]]
    return {"counts": counts, "worst": worst, **({"old": True} if old else {})}


_KEYS = ("Severity", "VulnerabilityID", "PkgName", "InstalledVersion", "FixedVersion")


def _text(value: object) -> str:
    """Return what is told of a name: printable ASCII."""
    text = value if isinstance(value, str) else ""
    return re.sub(r"[^ -~]+", "?", text)[:MOST_CHARACTERS]


def report(
    images: Mapping[str, Image],
    repositories: Mapping[str, AbstractSet[str]],
    known: Mapping[str, Any],
    patterns: Sequence[str],
    items: int,
) -> dict[str, Any]:
    """Return what is told to who may pull repositories of some patterns, as JSON has it.

    Args:
        images: All images by digest.
        repositories: The repositories that have each.
        known: What is told to everybody.
        items: How many images there are at most: the worst.
    """
    seen = {
        digest: image
        for digest, image in images.items()
        if any(may_pull(patterns, x) for x in repositories[digest])
    }
    worst = sorted(seen, key=lambda x: (seen[x].get("counts", []), x), reverse=True)
    return {**known, "cut": len(seen) > items, "images": {x: seen[x] for x in worst[:items]}}


def metrics(
    images: Mapping[str, Image],
    repositories: Mapping[str, AbstractSet[str]],
    times: Mapping[str, float],
) -> str:
    """Return all metrics.

    https://prometheus.io/docs/instrumenting/exposition_formats/

    Args:
        images: All images by digest.
        repositories: The repositories that have each.
        times: When what happened, by the name of its metric.
    """
    totals: dict[str, list[list[int]]] = {}
    for digest, image in images.items():
        for repository in repositories[digest] if "counts" in image else ():
            total = totals.setdefault(repository, [[0, 0] for _ in SEVERITIES])
            _add(total, image["counts"])
    worst = sorted(totals, key=lambda x: (totals[x], x), reverse=True)
    rest = [[0, 0] for _ in SEVERITIES]
    for repository in worst[MOST_REPOSITORIES:]:
        _add(rest, totals[repository])
    rows = [(x, totals[x]) for x in sorted(worst[:MOST_REPOSITORIES])]
    if len(worst) > MOST_REPOSITORIES:
        # No repository has this name.
        rows.append(("*", rest))
    scanned = sum("failed" not in x and "counts" in x for x in images.values())
    return "".join(
        (
            *_metric("registry_vulnerabilities", _VULNERABILITIES, _series(rows)),
            *_metric("registry_scanned_images", "Images whose last scan worked.", [("", scanned)]),
            *_metric(
                "registry_unscanned_images",
                "Images whose last scan failed, and those that no run has come to yet.",
                [("", len(images) - scanned)],
            ),
            *(
                line
                for name, time in times.items()
                for line in _metric(name, _TIMES[name], [("", round(time))])
            ),
        )
    )


_VULNERABILITIES = "Findings in all images that tags of a repository name."
_TIMES = {
    "registry_scan_timestamp_seconds": "When the last scan ended.",
    "registry_scan_database_timestamp_seconds": "When its database was made.",
}


def _add(total: list[list[int]], counts: Sequence[Sequence[int]]) -> None:
    for sums, count in zip(total, counts):
        sums[0] += count[0]
        sums[1] += count[1]


def _series(rows: Iterable[tuple[str, list[list[int]]]]) -> Iterable[tuple[str, int]]:
    for repository, counts in rows:
        for severity, (found, fixable) in zip(SEVERITIES, counts):
            labels = f'repository="{repository}",severity="{severity}"'
            yield f'{{{labels},fixable="false"}}', found - fixable
            yield f'{{{labels},fixable="true"}}', fixable


def _metric(name: str, text: str, series: Iterable[tuple[str, int]]) -> Iterable[str]:
    yield f"# HELP {name} {text}\n# TYPE {name} gauge\n"
    for labels, value in series:
        yield f"{name}{labels} {value}\n"
