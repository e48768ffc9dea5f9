"""Clients that download layers from the storage itself."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from functools import partial

import pytest

from sandbox.build import images
from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox, eventually, pod, runs


@pytest.fixture
def redirected(sandbox: Sandbox) -> Iterator[None]:
    sandbox.config(registry__redirect=True)
    try:
        sandbox.pulumi("up", "--yes", "--skip-preview")
        yield
    finally:
        sandbox.pulumi("config", "rm", "--path", "registry.redirect")
        sandbox.pulumi("up", "--yes", "--skip-preview")


@pytest.mark.usefixtures("redirected")
def test_clients_and_nodes_follow_the_redirect_to_the_storage(
    sandbox: Sandbox, ssl_context: ssl.SSLContext
) -> None:
    login = f"admin:{sandbox.password}"
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    image = f"{sandbox.registry}/redirected/whoami:1"
    sandbox.run("skopeo", "copy", f"--dest-creds={login}", source, f"docker://{image}")
    manifest = sandbox.run("skopeo", "inspect", "--raw", f"--creds={login}", f"docker://{image}")
    digest = json.loads(manifest.stdout)["layers"][0]["digest"]
    blob = f"https://{sandbox.registry}/v2/redirected/whoami/blobs/{digest}"
    status, headers = send(blob, login=login, ssl_context=ssl_context)
    assert status == 307
    assert headers["Location"].startswith(f"{sandbox.s3_endpoint}/{sandbox.bucket}/")
    assert send(blob, ssl_context=ssl_context)[0] == 401, "only users are given such a URL"
    token = base64.b64encode(login.encode()).decode()
    sandbox.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "redirected", "namespace": "default"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {
                ".dockerconfigjson": json.dumps({"auths": {sandbox.registry: {"auth": token}}})
            },
        },
        pod("redirected", image, imagePullSecrets=[{"name": "redirected"}]),
    )
    eventually("the pod runs", partial(runs, sandbox, "redirected"))
    sandbox.kubectl("delete", "pod/redirected", "secret/redirected", "--wait=false")
