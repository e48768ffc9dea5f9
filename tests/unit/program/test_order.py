"""What waits for what, and what of the images outlives a change: each row says why.

A resource waits for what it depends on, for its provider, and for what its parent waits for.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.program.conftest import CONFIG, Run
from tests.unit.program.engine import Engine
from tests.unit.program.modes import MODES

ALL: dict[str, Any] = {
    "tls": {"mode": "letsEncrypt", "email": "you@example.com"},
    "dns": {"zone": "example.com", "addresses": ["203.0.113.10"]},
    "nodes": {"configure": True},
    "pullSecrets": {"namespaces": ["team-a"]},
    "users": {"ci": {"push": ["team-a/*"]}},
    "cache": {"docker": {"upstream": "docker.io"}},
    **MODES["backup"],
}
OWN_KEY = MODES["own-spaces-key"]

WAITS: list[tuple[dict[str, Any], str, str, str]] = [
    (ALL, "registry-namespace", "record", "another stack's or cluster's state touches nothing"),
    (ALL, "registry-namespace", "cluster-uid", "another cluster's objects are not taken for ours"),
    (ALL, "bootstrap-key", "registry-namespace", "a stranger's namespace costs no key"),
    (ALL, "storage-bucket", "registry-namespace", "a stranger's namespace costs no Space"),
    (OWN_KEY, "storage-bucket", "registry-namespace", "nor with a Spaces key of one's own"),
    (ALL, "dns-203.0.113.10", "registry-namespace", "nor is a name led to a stranger"),
    (ALL, "registry-storage-check-job", "registry-closed", "no pod runs without a policy"),
    (
        *(ALL, "registry-storage-check-job", "registry-storage-check-policy"),
        "or the check fails since it is locked in",
    ),
    (
        *(ALL, "registry-policy", "registry-storage-check-job"),
        "a wrong endpoint would take the storage from the pods that run",
    ),
    (
        *(ALL, "registry-deployment", "registry-storage-check-job"),
        "a wrong storage would replace pods that work",
    ),
    (ALL, "registry-deployment", "registry-policy", "its pods would be cut off"),
    (ALL, "registry-deployment", "registry-closed", "its pods would be open to all"),
    (
        *(ALL, "registry-auth-proxy", "registry-storage-check-job"),
        "a cache would hide images that are called as its own",
    ),
    (ALL, "cache-docker-deployment", "cache-docker-policy", "its pod would be cut off"),
    (
        *(ALL, "cache-docker-deployment", "registry-storage-check-job"),
        "a wrong storage would replace a pod that works",
    ),
    (ALL, "cache-docker-deployment", "registry-closed", "its pod would be open to all"),
    (ALL, "check-backup-job", "backup-check-policy", "or the check fails since it is locked in"),
    (ALL, "check-backup-job", "registry-closed", "its pod would be open to all"),
    (
        *(ALL, "check-backup-job", "registry-deployment"),
        "a wrong bucket for copies would keep a registry from running",
    ),
    (ALL, "backup-cron-job", "check-backup-job", "every night it would fail"),
    (ALL, "backup-cron-job", "backup-policy", "likewise: it would be locked in"),
    (ALL, "smoke-test-job", "registry-deployment", "it would test the pods before"),
    (ALL, "smoke-test-job", "credentials-smoke-test", "its password shows what the pods know"),
    *(
        (ALL, "credentials-smoke-test", user, "once it is known, all others are")
        for user in (
            *("credentials-admin", "credentials-pull", "credentials-maintenance"),
            "credentials-user-ci",
        )
    ),
    (
        *(ALL, "nodes-configurator-files", "smoke-test-job"),
        "nodes would pull by a password that the pods do not know yet",
    ),
    (ALL, "nodes-configurator-daemon-set", "smoke-test-job", "likewise"),
    (ALL, "pull-secrets-team-a", "smoke-test-job", "likewise, for pods"),
    (
        *(ALL, "nodes-configurator-daemon-set", "nodes-configurator-role-binding"),
        "the lock of restarts would be forbidden to it",
    ),
    (
        *(ALL, "acme-client-deployment", "dns-203.0.113.10"),
        "the ACME server would not find the name, and five failures lock it out for an hour",
    ),
    *(
        (ALL, "acme-client-deployment", f"acme-client-{part}", "likewise: it could not ask back")
        for part in ("ingress", "service", "policy")
    ),
    (ALL, "acme-client-deployment", "acme-client-role-binding", "it could not keep its keys"),
]
"""Configuration, what waits, for what, and what would happen otherwise.

Five failures: https://letsencrypt.org/docs/rate-limits/#authorization-failures-per-hostname-per-account
"""


def waits_for(engine: Engine, name: str) -> set[str]:
    """Return all resources that are there before a resource is created or changed."""
    found: set[str] = set()
    open_: list[str] = [name]
    while open_:
        options = engine.resources[open_.pop()].options
        for next_ in (
            *options.get("dependencies", []),
            *(
                options[key]
                for key in ("provider", "parent")
                if options.get(key, "stack") != "stack"
            ),
        ):
            if next_ not in found:
                found.add(next_)
                open_.append(next_)
    return found


@pytest.mark.parametrize(("config", "later", "earlier", "why"), WAITS)
def test_it_waits(run: Run, config: dict[str, Any], later: str, earlier: str, why: str) -> None:
    assert earlier in waits_for(run({**CONFIG, **config}), later), why


def test_a_collection_is_never_ended_by_the_next_one(run: Run) -> None:
    """Two at a time would each delete by a plan that the other one makes wrong."""
    for name in ("maintenance-cron-job", "backup-cron-job"):
        spec = run({**CONFIG, **ALL}).inputs(name)["spec"]
        assert spec["concurrencyPolicy"] == "Forbid"


def test_no_other_job_is_called_as_those_that_alerts_look_at(run: Run) -> None:
    """One that succeeds would end the alert of a run that has failed."""
    engine = run({**CONFIG, **ALL})
    jobs = [name for name, x in engine.resources.items() if x.type.endswith(":Job")]
    assert "check-backup-job" in jobs
    assert not [name for name in jobs if name.startswith(("backup-", "maintenance-", "scan-"))]


@pytest.mark.parametrize("key", [{}, OWN_KEY], ids=["bootstrap-key", "own-spaces-key"])
@pytest.mark.parametrize(
    ("on_destroy", "options", "force", "readme", "why"),
    [
        ("protect", {"protect"}, False, "protected", "the default: no command deletes images"),
        ("retain", {"retainOnDelete"}, False, "stay in the bucket", "they outlive the stack"),
        ("delete", set(), True, "its images included", "as the setting says, and never else"),
    ],
)
def test_what_destroy_does_to_images_is_what_was_chosen_and_what_the_readme_says(
    run: Run,
    key: dict[str, Any],
    on_destroy: str,
    options: set[str],
    force: bool,
    readme: str,
    why: str,
) -> None:
    engine = run({**CONFIG, **key, "storage": {"onDestroy": on_destroy}})
    bucket = engine.resources["storage-bucket"]
    kept = {"protect", "retainOnDelete"} & bucket.options.keys()
    assert kept == options, why
    assert bucket.inputs.get("forceDestroy", False) == force, why
    assert readme in engine.outputs["readme"]


def test_the_images_of_an_existing_bucket_are_not_the_stacks(run: Run) -> None:
    assert "stay in the bucket" in run({**CONFIG, **MODES["s3"]}).outputs["readme"]


def test_a_space_is_never_replaced(run: Run) -> None:
    """Neither a new prefix nor a new region may leave the images behind."""
    assert run().resources["storage-bucket"].options["ignoreChanges"] == ["name", "region"]


@pytest.mark.parametrize("key", ["bootstrap-key", "storage-key"])
def test_a_rotation_replaces_each_key_of_the_cloud(run: Run, key: str) -> None:
    """Whoever has seen the old one must lose it; the bootstrap key opens all Spaces."""
    triggers = {
        generation: run({**CONFIG, "rotation": generation})
        .resources[key]
        .options["replacement_trigger"]
        for generation in (1, 2)
    }
    assert triggers[1] != triggers[2]
