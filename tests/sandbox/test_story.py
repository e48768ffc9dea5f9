"""The seed's story: real clients against the result of a real `pulumi up`."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from sandbox.build import images
from scripts.client import smoke_test
from scripts.shared import registry_client
from tests.sandbox.helpers import Result, Sandbox, eventually, pod, runs, state

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
ROUTES = (
    "/v2/", "/v2", "/v2/_catalog", "/v2/a/tags/list", "/v2/a/manifests/latest",
    "/v2/a/b/c/manifests/latest", "/v2/a/blobs/sha256:" + "0" * 64, "/v2/a/blobs/uploads/",
    "/v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000",
    "/v2/a/blobs/uploads/?mount=sha256:" + "0" * 64 + "&from=b", "/v2/nonsense",
)  # fmt: skip


@pytest.fixture(scope="module")
def whoami(sandbox: Sandbox) -> str:
    return f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"


@pytest.fixture(scope="module")
def login(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A login file, as `podman login` writes it."""
    path = tmp_path_factory.mktemp("login") / "auth.json"
    line = sandbox.pulumi("stack", "output", "login").stdout.strip()
    result = sandbox.run(
        "sh", "-c", f"{line} --authfile {path}",
    )  # fmt: skip
    assert "Login Succeeded!" in result.stdout
    return path


@pytest.fixture
def podman(sandbox: Sandbox) -> Iterator[Callable[..., Result]]:
    """Return a function that runs podman, with images of its own."""
    # Not tmp_path: podman refuses a --runroot of more than 50 characters.
    with tempfile.TemporaryDirectory() as home:
        # vfs, since podman may itself run in a container here.
        own = [f"--root={home}/root", f"--runroot={home}/run", "--storage-driver=vfs"]
        yield lambda *args, **how: sandbox.run("podman", *own, *args, **how)


def test_up_ends_with_a_smoke_test_from_outside_and_the_login_line(sandbox: Sandbox) -> None:
    assert f"passed: https://{sandbox.registry} works" in sandbox.up_output
    assert f"podman login {sandbox.registry} --username admin --password-stdin" in sandbox.up_output


def test_up_ends_with_a_request_from_this_machine(sandbox: Sandbox) -> None:
    # The certificate was there in time, as soon as `up` had created the namespace for it.
    assert f"https://{sandbox.registry}/v2/ asks for a login, as it should" in sandbox.up_output


def test_an_anonymous_client_cannot_push(sandbox: Sandbox, whoami: str) -> None:
    result = sandbox.run(
        "skopeo", "copy", whoami, f"docker://{sandbox.registry}/anonymous/whoami:1", fails=True
    )
    assert "unauthorized: authentication required" in result.stderr


def test_an_anonymous_client_cannot_push_with_podman(
    sandbox: Sandbox, whoami: str, podman: Callable[..., Result]
) -> None:
    podman("pull", "--quiet", whoami)
    target = f"{sandbox.registry}/anonymous/whoami:1"
    podman("tag", podman("images", "--quiet").stdout.split()[0], target)
    result = podman("push", target, fails=True)
    assert "unauthorized: authentication required" in result.stderr


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("method", METHODS)
def test_an_anonymous_client_gets_nothing(sandbox: Sandbox, method: str, route: str) -> None:
    status, headers, body = sandbox.http(method, route)
    assert status in {401, 404, 405, 301}, f"{method} {route} responded with {status}"
    if status == 401:
        assert headers["Www-Authenticate"] == 'Basic realm="registry"'
    assert b"repositories" not in body
    assert b"tags" not in body


def test_nothing_but_the_api_is_served(sandbox: Sandbox) -> None:
    for path in ("/", "/metrics", "/debug/pprof/heap", "/debug/health"):
        assert sandbox.http("GET", path, login=True)[0] == 404, path


def test_a_wrong_password_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    result = sandbox.run(
        "podman", "login", sandbox.registry, "--username=admin", "--password-stdin",
        f"--authfile={tmp_path}/auth.json", stdin="wrong", fails=True,
    )  # fmt: skip
    assert "invalid username/password" in result.stderr
    result = sandbox.run(
        "podman", "login", sandbox.registry, "--username=nobody", "--password-stdin",
        f"--authfile={tmp_path}/auth.json", stdin=sandbox.password, fails=True,
    )  # fmt: skip
    assert "invalid username/password" in result.stderr


def test_podman_logs_in_pushes_and_pulls(
    sandbox: Sandbox, whoami: str, login: Path, podman: Callable[..., Result]
) -> None:
    target = f"{sandbox.registry}/functions/whoami:latest"
    auth = f"--authfile={login}"
    podman("pull", "--quiet", whoami)
    image = podman("images", "--quiet").stdout.split()[0]
    podman("tag", image, target)
    podman("push", auth, target)
    podman("rmi", "--force", image)
    podman("pull", auth, target)
    assert podman("images", "--quiet").stdout.split()[0] == image


def test_in_a_used_home_podmans_login_serves_crane_and_cranes_stays_in_the_sandbox(
    sandbox: Sandbox, whoami: str, tmp_path: Path
) -> None:
    used = tmp_path / ".docker" / "config.json"
    used.parent.mkdir()
    used.write_text('{"auths": {"registry.example.com": {"auth": "dTpw"}}}')
    before = used.read_text()
    podman_login = sandbox.pulumi("stack", "output", "login").stdout.strip()
    crane_login = podman_login.replace("podman", "crane auth")
    repository = f"{sandbox.registry}/home/whoami"
    script = f"""
        {podman_login} && skopeo copy {whoami} docker://{repository}:1 && crane ls {repository} &&
        podman logout {sandbox.registry} && {crane_login} && crane ls {repository}
    """
    try:
        result = sandbox.run("env", f"HOME={tmp_path}", "sh", "-c", script)
    finally:
        sandbox.run("podman", "logout", "--all")
    assert result.stdout.splitlines().count("1") == 2, result.stdout
    assert used.read_text() == before


def test_an_image_is_the_same_by_tag_and_by_digest(
    sandbox: Sandbox, whoami: str, login: Path, tmp_path: Path
) -> None:
    repository = f"docker://{sandbox.registry}/bytes/whoami"
    auth = f"--authfile={login}"
    sandbox.run(
        "skopeo", "copy", auth, "--preserve-digests", f"--digestfile={tmp_path}/digest",
        whoami, f"{repository}:1",
    )  # fmt: skip
    digest = (tmp_path / "digest").read_text()
    for number, reference in enumerate([":1", f"@{digest}"]):
        sandbox.run("skopeo", "copy", auth, f"{repository}{reference}", f"dir:{tmp_path}/{number}")
    pulled = [
        {file.name: file.read_bytes() for file in (tmp_path / str(number)).iterdir()}
        for number in range(2)
    ]
    assert pulled[0] == pulled[1]
    manifest = pulled[0]["manifest.json"]
    assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == digest
    for layer in json.loads(manifest)["layers"]:
        name = layer["digest"].removeprefix("sha256:")
        assert hashlib.sha256(pulled[0][name]).hexdigest() == name, "bytes must come back as sent"


def test_tags_that_begin_like_others_are_all_listed(
    sandbox: Sandbox, whoami: str, login: Path
) -> None:
    tags = ["1.2", "1.20", "v1", "v1.0"]
    repository = f"docker://{sandbox.registry}/tags/whoami"
    for tag in tags:
        sandbox.run("skopeo", "copy", f"--authfile={login}", whoami, f"{repository}:{tag}")
    listed = sandbox.http("GET", "/v2/tags/whoami/tags/list", login=True)[2]
    assert sorted(json.loads(listed)["tags"]) == tags, "distribution 3.1.1 lost 1.20 and v1.0 here"


def test_a_layer_that_lies_elsewhere_is_no_error_of_the_registry(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", sandbox.environment["SSL_CERT_FILE"])
    login = registry_client.basic("admin", sandbox.password)
    registry = registry_client.Registry(f"https://{sandbox.registry}", login)
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    manifest = {
        "schemaVersion": 2,
        "mediaType": registry_client.MANIFEST,
        "config": {"mediaType": smoke_test.CONFIG, **smoke_test.push_blob(registry, config)},
        "layers": [
            {
                "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar",
                "digest": "sha256:" + "1" * 64,
                "size": 5,
                "urls": ["https://example.com/layer.tar"],
            }
        ],
    }
    registry.call(
        "PUT",
        "v2/smoke-test/manifests/foreign",
        [201],
        json.dumps(manifest).encode(),
        {"Content-Type": registry_client.MANIFEST},
    )


def test_a_pod_runs_an_image_from_the_registry_with_a_pull_secret(
    sandbox: Sandbox, whoami: str, login: Path
) -> None:
    image = f"{sandbox.registry}/pods/whoami:1"
    sandbox.run("skopeo", "copy", f"--authfile={login}", whoami, f"docker://{image}")
    sandbox.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "pull", "namespace": "default"},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": login.read_text()},
        },
        pod("private", image, imagePullSecrets=[{"name": "pull"}]),
        pod("private-missing", f"{image}2", imagePullSecrets=[{"name": "pull"}]),
        pod("private-no-secret", image),
    )
    eventually("the pod runs", partial(runs, sandbox, "private"))
    refused = {"ErrImagePull", "ImagePullBackOff"}
    eventually("no such image", lambda: state(sandbox, "private-missing") in refused)
    eventually("no Secret", lambda: state(sandbox, "private-no-secret") in refused)
    events = sandbox.kubectl("get", "events", "--output=wide").stdout
    assert "Error: ErrImagePull" in events, "what the seed tells its readers to look for"


def test_an_image_without_a_prefix_comes_from_docker_io(sandbox: Sandbox) -> None:
    sandbox.apply(pod("public", "containous/whoami"), pod("named", "docker.io/containous/whoami"))
    for name in ("public", "named"):
        eventually(f"{name} runs", partial(runs, sandbox, name))
    assert "Successfully pulled image" in sandbox.kubectl("describe", "pod", "public").stdout
    sandbox.kubectl("delete", "pods", "--all", "--wait=false")
