"""Runs of the CronJob that looks after the storage."""

from __future__ import annotations

from typing import Any

from tests.sandbox.helpers import Sandbox, eventually

NAMESPACE = "--namespace=registry"


def maintain(sandbox: Sandbox, name: str, condition: str) -> str:
    """Run a Job of the CronJob, which must end with a condition, and return its log.

    Args:
        sandbox: The sandbox.
        name: The Job's name; the caller deletes it.
        condition: ``Complete`` or ``Failed``.
    """
    # Of two runs at a time, one fails: the CronJob's own must not begin meanwhile.
    suspend(sandbox, "true")
    try:
        eventually("no other run is at work", lambda: not any(map(active, jobs(sandbox))))
        sandbox.kubectl("create", "job", name, "--from=cronjob/maintenance", NAMESPACE)
        eventually(f"{name} has ended", lambda: bool(conditions(sandbox, name)), 150)
    finally:
        suspend(sandbox, "false")
    log = sandbox.kubectl("logs", f"job/{name}", NAMESPACE).stdout
    assert condition in conditions(sandbox, name), log
    return log


def suspend(sandbox: Sandbox, value: str) -> None:
    patch = f'--patch={{"spec": {{"suspend": {value}}}}}'
    sandbox.kubectl("patch", "cronjob", "maintenance", NAMESPACE, patch)


def jobs(sandbox: Sandbox) -> list[dict[str, Any]]:
    selector = "--selector=app.kubernetes.io/component=maintenance"
    return list(sandbox.get("jobs", NAMESPACE, selector)["items"])


def active(job: dict[str, Any]) -> bool:
    return bool(job["status"].get("active"))


def conditions(sandbox: Sandbox, name: str) -> set[str]:
    """Return how a Job has ended; empty if it has not."""
    listed = sandbox.get("job", name, NAMESPACE)["status"].get("conditions", [])
    return {x["type"] for x in listed if x["type"] in {"Complete", "Failed"}}
