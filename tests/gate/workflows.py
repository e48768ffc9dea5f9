"""The workflows that are checked: this repository's, and the examples."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted([*ROOT.glob(".github/workflows/*.yml"), *ROOT.glob("examples/github/*.yml")])
PIPELINE = ROOT / "examples" / "gitlab" / "gitlab-ci.yml"


def scripts(pipeline: Mapping[str, Any]) -> dict[str, str]:
    """Return what the jobs of a GitLab pipeline run, by job, as the runner puts it together."""
    parts = ("before_script", "script", "after_script")
    return {
        name: "\n".join(line for part in parts for line in job.get(part, []))
        for name, job in pipeline.items()
        if any(part in job for part in parts)
    }
