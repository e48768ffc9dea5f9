"""The pull user reads everything and writes nothing."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from sandbox.build import images
from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox

REPOSITORY = "identities/whoami"
DIGEST = "sha256:" + "0" * 64
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method")
REFUSED = {401, 403, 405}
"""A client must not take a refusal for a missing object, nor for a temporary failure."""


@pytest.fixture(scope="module")
def image(sandbox: Sandbox) -> str:
    """An image that the admin pushed."""
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    pushed = f"docker://{sandbox.registry}/{REPOSITORY}:1"
    sandbox.run("skopeo", "copy", f"--dest-creds=admin:{sandbox.password}", source, pushed)
    return pushed


@pytest.mark.usefixtures("image")
def test_the_pull_user_reads(
    sandbox: Sandbox, pull_password: str, tmp_path: Path, ssl_context: ssl.SSLContext
) -> None:
    creds, pull = f"pull:{pull_password}", f"docker://{sandbox.registry}/{REPOSITORY}:1"
    sandbox.run("skopeo", "copy", f"--src-creds={creds}", pull, f"dir:{tmp_path}/image")
    url, manifest = f"https://{sandbox.registry}/v2/", f"{REPOSITORY}/manifests/1"
    for path in ("", "_catalog", f"{REPOSITORY}/tags/list", manifest):
        assert send(url + path, login=creds, ssl_context=ssl_context)[0] == 200, path
    assert send(url + manifest, "HEAD", login=creds, ssl_context=ssl_context)[0] == 200


def test_the_pull_user_cannot_push_what_is_new_nor_what_is_there(
    sandbox: Sandbox, pull_password: str, image: str
) -> None:
    creds = f"--dest-creds=pull:{pull_password}"
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    for target in (f"docker://{sandbox.registry}/identities/new:1", image, f"{image}2"):
        result = sandbox.run("skopeo", "copy", creds, source, target, fails=True)
        assert result.stderr.rstrip().endswith(': denied"'), target


@pytest.mark.usefixtures("image")
def test_no_method_by_any_name_writes_for_the_pull_user(
    sandbox: Sandbox, pull_password: str, ssl_context: ssl.SSLContext
) -> None:
    host = f"https://{sandbox.registry}"
    admin, pull = f"admin:{sandbox.password}", f"pull:{pull_password}"
    started, headers = send(
        f"{host}/v2/a/blobs/uploads/", "POST", login=admin, ssl_context=ssl_context
    )
    assert started == 202
    upload = host + headers["Location"]
    assert "_state=" in upload, "what the admin started must be there to be replayed"
    uploads, manifest = f"{host}/v2/a/blobs/uploads/", f"{host}/v2/{REPOSITORY}/manifests/1"
    mount = f"{uploads}?mount={DIGEST}&from={REPOSITORY}"
    for url in (uploads, mount, upload, f"{upload}&digest={DIGEST}", manifest):
        for method in ("POST", "PUT", "PATCH", "DELETE", "post", "Put", "delete", "get", "GETS"):
            status, response_headers = send(url, method, login=pull, ssl_context=ssl_context)
            assert status in REFUSED, f"{method} {url} responded with {status}"
            assert status != 401 or response_headers["Www-Authenticate"] == 'Basic realm="registry"'
    for name in OVERRIDES:
        for method in ("GET", "HEAD"):
            override = {name: "DELETE"}
            status, _ = send(
                manifest, method, login=pull, headers=override, ssl_context=ssl_context
            )
            assert status == 200, f"{method} with {name} responded with {status}"
        status, _ = send(
            manifest, "DELETE", login=pull, headers={name: "GET"}, ssl_context=ssl_context
        )
        assert status in REFUSED, name
    assert send(manifest, login=pull, ssl_context=ssl_context)[0] == 200, (
        "an override has deleted it"
    )
    assert send(upload, "DELETE", login=admin, ssl_context=ssl_context)[0] == 204


def test_no_request_that_reads_can_become_a_connection_of_its_own(
    sandbox: Sandbox, pull_password: str, ssl_context: ssl.SSLContext
) -> None:
    # No router sees what follows an upgrade: it could use any method.
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAA"}
    url, login = f"https://{sandbox.registry}/v2/", f"pull:{pull_password}"
    assert send(url, login=login, headers=upgrade, ssl_context=ssl_context)[0] == 200, (
        "101 would be a switch"
    )
