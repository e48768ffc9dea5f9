"""A receiver in the cluster is notified of pushes and deletes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.build import images
from tests.sandbox.helpers import Sandbox, eventually, pod

NAMESPACE = "webhooks"
HEADER = "Bearer hunter2-of-the-webhook"
RECEIVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print(self.headers["Authorization"], body.decode().replace("\\n", " "), flush=True)
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[None]:
    labels = {"app": "receiver"}
    running: Any = pod("receiver", images.PYTHON, NAMESPACE)
    running["metadata"]["labels"] = labels
    # The node has the image, and no registry.
    own = {"command": ["python3", "-c", RECEIVER], "imagePullPolicy": "IfNotPresent"}
    running["spec"]["containers"][0] |= own
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "receiver", "namespace": NAMESPACE},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    sandbox.kubectl("create", "namespace", NAMESPACE)
    try:
        sandbox.apply(running, service)
        ready = ("--for=condition=Ready", "pod/receiver", "--timeout=60s")
        sandbox.kubectl("wait", f"--namespace={NAMESPACE}", *ready)
        sandbox.config(webhooks__test__url=f"http://receiver.{NAMESPACE}.svc/events")
        header = ("--path", "--secret", "webhooks.test.headers.Authorization")
        sandbox.pulumi("config", "set", *header, stdin=HEADER)
        sandbox.pulumi("up", "--yes", "--skip-preview")
        yield
    finally:
        sandbox.pulumi("config", "rm", "webhooks")
        sandbox.pulumi("up", "--yes", "--skip-preview")
        sandbox.kubectl("delete", "namespace", NAMESPACE)


def events(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the events about this test's repository; each must have come with the header."""
    lines = sandbox.kubectl("logs", "receiver", f"--namespace={NAMESPACE}").stdout.splitlines()
    assert all(line.startswith(f"{HEADER} ") for line in lines)
    envelopes = [json.loads(line.removeprefix(HEADER)) for line in lines]
    every = [event for envelope in envelopes for event in envelope["events"]]
    return [event for event in every if event["target"]["repository"] == "webhooks/whoami"]


@pytest.mark.usefixtures("receiver")
def test_a_push_and_a_delete_send_events_and_a_pull_does_not(sandbox: Sandbox) -> None:
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    target = f"docker://{sandbox.registry}/webhooks/whoami:1"
    sandbox.run("skopeo", "copy", f"--dest-creds=admin:{sandbox.password}", source, target)
    eventually("the event of the push has arrived", lambda: len(events(sandbox)) == 1)
    (push,) = events(sandbox)
    assert (push["action"], push["target"]["tag"]) == ("push", "1")
    digest = push["target"]["digest"]
    sandbox.run("skopeo", "inspect", "--raw", f"--creds=admin:{sandbox.password}", target)
    path = f"/v2/webhooks/whoami/manifests/{digest}"
    assert sandbox.http("DELETE", path, login=True)[0] == 202
    eventually("the events of the delete have arrived", lambda: len(events(sandbox)) == 3)
    deletes = events(sandbox)[1:]
    assert {event["action"] for event in deletes} == {"delete"}
    assert {event["target"].get("digest") or "" for event in deletes} == {digest, ""}
    selector = "--selector=app.kubernetes.io/component=registry"
    logs = ("logs", selector, "--all-containers", "--tail=-1", "--namespace=registry")
    assert "hunter2" not in sandbox.kubectl(*logs).stdout, "a header is a secret"
