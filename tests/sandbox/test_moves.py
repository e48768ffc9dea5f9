"""Images stay where they are, whatever the settings say, until they have been copied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sandbox.cloud import spaces
from tests.sandbox.existing_buckets import BUCKET
from tests.sandbox.helpers import Sandbox, second_stack

SPACE: dict[str, str] = {}
S3 = {
    "storage.kind": "s3",
    "storage.bucket": BUCKET,
    "storage.endpoint": "http://nowhere.test",
    "storage.accessKey": "AKIA",
}


def resources(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the resources in the state; secrets in plain text, since they are encrypted anew."""
    export = sandbox.pulumi("stack", "export", "--show-secrets").stdout
    found: list[dict[str, Any]] = json.loads(export)["deployment"]["resources"]
    return found


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"storage.region": "fra1"}, "fix: pulumi config set --path storage.region nyc3"),
        (
            {"storage.namePrefix": "other", "storage.onDestroy": "delete"},
            "fix: pulumi config set --path storage.namePrefix registry",
        ),
        (S3, "which must first be told to leave it there"),
        ({"namespace": "images"}, "did not create there: Secret/registry-tls"),
    ],
)
def test_settings_that_leave_images_or_secrets_behind_change_nothing(
    sandbox: Sandbox, settings: dict[str, str], message: str
) -> None:
    before = resources(sandbox)
    for key, value in settings.items():
        sandbox.pulumi("config", "set", "--path", key, value)
    if settings is S3:
        sandbox.pulumi("config", "set", "--path", "--secret", "storage.secretKey", stdin="secret")
    try:
        for command in (["preview"], ["up", "--yes", "--skip-preview"]):
            assert message in sandbox.pulumi(*command, fails=True).stdout
    finally:
        for section in {key.split(".")[0] for key in settings}:
            sandbox.pulumi("config", "rm", section)
    assert resources(sandbox) == before
    sandbox.pulumi("preview", "--expect-no-changes")


@contextmanager
def stack_with_a_space(sandbox: Sandbox, name: str, on_destroy: str) -> Iterator[Sandbox]:
    """Create another stack whose images are to be in a Space of its own."""
    with second_stack(sandbox, name) as stack:
        token = spaces.secrets(sandbox.layout).token
        stack.pulumi("config", "set", "--secret", "digitalocean:token", stdin=token)
        stack.config(storage__onDestroy=on_destroy)
        yield stack
