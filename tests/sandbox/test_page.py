"""The page for browsers, from the setting through Traefik to what the maintenance has seen."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from components.reports import REPORTS
from sandbox.build import images
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.maintenance import NAMESPACE, maintain

TAKEN_OVER = ("kubectl", "before-first-apply", "pulumi")
"""How the names of writers begin whose fields the provider takes for its own when it updates an
object, and deletes:
https://github.com/pulumi/pulumi-kubernetes/blob/v4.34.2/provider/pkg/await/await.go"""

UP = ("up", "--yes", "--skip-preview")


@pytest.fixture
def job(sandbox: Sandbox) -> Iterator[str]:
    """Return the name of a Job, which is deleted at the end."""
    yield "page"
    sandbox.kubectl("delete", "job", "page", NAMESPACE)


def usage(sandbox: Sandbox) -> Any:
    """Return the report that the admin gets; None for none."""
    status, _, body = sandbox.http("GET", "/page/usage.json", login=True)
    assert status in {200, 404}
    return json.loads(gzip.decompress(body)) if status == 200 else None


def test_what_the_maintenance_has_seen_is_on_the_page_and_stays_there(
    sandbox: Sandbox, job: str
) -> None:
    """The kubelet takes a minute to tell the pods; no command of Pulumi's may empty it again."""
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    creds = f"--dest-creds=admin:{sandbox.password}"
    target = f"docker://{sandbox.registry}/page/whoami:1"
    sandbox.run("skopeo", "copy", creds, source, target)
    sandbox.config(page__enabled="true")
    try:
        sandbox.pulumi(*UP)
        assert sandbox.http("GET", "/")[0] == 401
        status, headers, body = sandbox.http("GET", "/", login=True)
        assert (status, body[:15]) == (200, b"<!doctype html>")
        assert headers["Strict-Transport-Security"]
        assert usage(sandbox) is None
        assert "the page does not show this" not in maintain(sandbox, job, "Complete")
        eventually("the report is there", lambda: usage(sandbox) is not None, 180)
        seen = usage(sandbox)
        assert "1" in seen["pushed"]["page/whoami"]
        sandbox.pulumi("preview", "--expect-no-changes")
        sandbox.pulumi("refresh", "--yes")
        sandbox.pulumi("preview", "--expect-no-changes")
        held = sandbox.get("configmap", REPORTS, NAMESPACE, "--show-managed-fields")
        writers = {x["manager"]: x["fieldsV1"].keys() for x in held["metadata"]["managedFields"]}
        (writer,) = (manager for manager, fields in writers.items() if "f:binaryData" in fields)
        assert not writer.startswith(TAKEN_OVER)
        assert usage(sandbox) == seen
    finally:
        sandbox.pulumi("config", "rm", "page")
        sandbox.pulumi(*UP)
    assert sandbox.http("GET", "/", login=True)[0] == 404
    sandbox.kubectl("get", "configmap", REPORTS, NAMESPACE, fails=True)
