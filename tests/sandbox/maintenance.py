"""Runs of the CronJob that looks after the storage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.sandbox.helpers import Sandbox, eventually

NAMESPACE = "--namespace=registry"
SELECTOR = "--selector=app.kubernetes.io/component=maintenance"


@contextmanager
def suspended(sandbox: Sandbox) -> Iterator[None]:
    """Suspend the CronJob meanwhile: of two runs at a time, one fails."""

    def suspend(value: str) -> None:
        patch = f'--patch={{"spec": {{"suspend": {value}}}}}'
        sandbox.kubectl("patch", "cronjob", "maintenance", NAMESPACE, patch)

    suspend("true")
    try:
        # One that finds something lost looks again after a minute.
        eventually("no run is at work", lambda: all(map(ends, jobs(sandbox))), 180)
        yield
    finally:
        suspend("false")


def maintain(sandbox: Sandbox, name: str, condition: str) -> str:
    """Run a Job of the CronJob, which must end with a condition, and return its log.

    Args:
        sandbox: The sandbox.
        name: The Job's name; the caller deletes it.
        condition: ``Complete`` or ``Failed``.
    """
    with suspended(sandbox):
        sandbox.kubectl("create", "job", name, "--from=cronjob/maintenance", NAMESPACE)
        return log_of(sandbox, name, condition)


def log_of(sandbox: Sandbox, name: str, condition: str) -> str:
    """Return the log of a Job that must end with a condition."""
    job = ("job", name, NAMESPACE)
    eventually(f"{name} has ended", lambda: bool(ends(sandbox.get(*job))), 180)
    log = sandbox.kubectl("logs", f"job/{name}", NAMESPACE).stdout
    assert condition in ends(sandbox.get(*job)), log
    return log


def jobs(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox.get("jobs", NAMESPACE, SELECTOR)["items"])


def forget_jobs(sandbox: Sandbox) -> None:
    """Delete all Jobs that have ended."""
    with suspended(sandbox):
        sandbox.kubectl("delete", "jobs", NAMESPACE, SELECTOR)


def ends(job: dict[str, Any]) -> set[str]:
    """Return how a Job has ended; empty if it has not."""
    conditions = job["status"].get("conditions", [])
    return {x["type"] for x in conditions if x["type"] in {"Complete", "Failed"}}
