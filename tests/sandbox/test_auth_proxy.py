"""The auth proxy: who may do what, from wherever and in whatever words a request comes."""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import product
from typing import Any

import pytest

from sandbox.build import images
from sandbox.cloud import spaces
from sandbox.layout import REGION
from tests.sandbox.clients import send
from tests.sandbox.existing_buckets import empty
from tests.sandbox.helpers import WAIT_UNTIL_ADMITTED, Sandbox, eventually, second_stack

DIGEST = "sha256:" + "0" * 64
UPLOAD = "00000000-0000-4000-8000-000000000000"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "DELETES")
ROUTES = (
    "/v2/", "/v2/_catalog", "/v2/{0}/tags/list", "/v2/{0}/manifests/1", f"/v2/{{0}}/blobs/{DIGEST}",
    "/v2/{0}/blobs/uploads/", f"/v2/{{0}}/blobs/uploads/{UPLOAD}", f"/v2/{{0}}/referrers/{DIGEST}",
)  # fmt: skip
NO_ROUTES = (
    "/", "/metrics", "/debug/pprof/heap", "/v2", "/v2//", "/v2/%5fcatalog", "/V2/", "//v2/",
    "/v2/_catalog/", "/v2/team-a/x/../y/tags/list", "/v2/team-a%2Fx/tags/list",
    "/v2/team-a//x/tags/list", "/v2/team-a/x/tags/list/", "/v2/team-a/x/manifests/%2e%2e",
    "/v2/team-a/x/blobs/uploads/..",
)  # fmt: skip
REGISTRY = "--selector=app.kubernetes.io/component=registry"


def pods(sandbox: Sandbox) -> list[str]:
    return [pod["metadata"]["name"] for pod in sandbox.pods()]


@pytest.fixture(scope="module")
def logins(sandbox: Sandbox, pull_password: str) -> Iterator[dict[str, str]]:
    """The login of each kind of user."""
    before = pods(sandbox)
    sandbox.config(**{"users__ci__push[0]": "team-a/*", "users__ci__pull[0]": "shared/base"})
    try:
        sandbox.pulumi("up", "--yes", "--skip-preview")
        users = json.loads(sandbox.pulumi("stack", "output", "users", "--show-secrets").stdout)
        assert pods(sandbox) == before, "another user needs no restart"
        yield {
            "admin": f"admin:{sandbox.password}",
            "pull": f"pull:{pull_password}",
            "ci": f"ci:{users['ci']}",
        }
    finally:
        sandbox.pulumi("config", "rm", "users")
        sandbox.pulumi("up", "--yes", "--skip-preview")


@pytest.fixture(scope="module")
def status_of(
    sandbox: Sandbox, logins: dict[str, str], ssl_context: ssl.SSLContext
) -> Callable[..., int]:
    """Return a function that sends a request as a user, and returns the status."""
    url = f"https://{sandbox.registry}"
    eventually(
        "the new user is known",
        lambda: send(f"{url}/v2/", login=logins["ci"], ssl_context=ssl_context)[0] == 200,
        seconds=120,
    )

    def status(user: str, method: str, path: str, **more: Any) -> int:
        login = logins.get(user, "")
        return send(f"{url}{path}", method, login=login, ssl_context=ssl_context, **more)[0]

    return status


def expected(user: str, method: str, route: str, repository: str) -> set[int]:
    """Return the statuses that a request may have, by what the documentation says."""
    if not user:
        return {401}
    kinds = {
        "/v2/": ({"GET", "HEAD"}, set()),
        "/v2/_catalog": ({"GET"}, set()),
        "/v2/{0}/tags/list": ({"GET"}, set()),
        "/v2/{0}/manifests/1": ({"GET", "HEAD"}, {"PUT", "DELETE"}),
        f"/v2/{{0}}/blobs/{DIGEST}": ({"GET", "HEAD"}, set()),
        "/v2/{0}/blobs/uploads/": (set(), {"POST"}),
        f"/v2/{{0}}/blobs/uploads/{UPLOAD}": (set(), {"GET", "HEAD", "PUT", "PATCH", "DELETE"}),
        f"/v2/{{0}}/referrers/{DIGEST}": ({"GET"}, set()),
    }
    reads, writes = kinds[route]
    if method not in reads | writes:
        return {405}
    pushes = user == "admin" or (user == "ci" and repository.startswith("team-a/"))
    pulls = pushes or user == "pull" or (user == "ci" and repository == "shared/base")
    if route == "/v2/_catalog":
        pushes, pulls = False, user != "ci"
    if pushes or route == "/v2/" or (pulls and method in reads):
        # Whatever the registry says of what is not there.
        return {200, 202, 400, 404}
    return {403}


@pytest.mark.parametrize("user", ["", "admin", "pull", "ci"])
def test_every_method_on_every_route_is_for_those_who_may(
    status_of: Callable[..., int], user: str
) -> None:
    repositories = ("team-a/x", "team-ab", "shared/base", "shared/base/x")
    for route, repository, method in product(ROUTES, repositories, METHODS):
        status = status_of(user, method, route.format(repository))
        assert status in expected(user, method, route, repository), (
            f"{user} {method} {route.format(repository)}: {status}"
        )


@pytest.mark.parametrize("user", ["", "admin"])
@pytest.mark.parametrize("path", NO_ROUTES)
def test_nothing_but_the_routes_of_the_specification_is_served(
    status_of: Callable[..., int], user: str, path: str
) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert status_of(user, method, path) == 404


def test_a_blob_is_mounted_only_for_those_who_may_pull_it(
    sandbox: Sandbox, status_of: Callable[..., int]
) -> None:
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    creds = f"--dest-creds=admin:{sandbox.password}"
    for repository in ("shared/base", "shared/secret"):
        target = f"docker://{sandbox.registry}/{repository}:1"
        sandbox.run("skopeo", "copy", creds, source, target)
    inspected = sandbox.run("skopeo", "inspect", "--raw", creds.replace("dest-", ""), target)
    blob = json.loads(inspected.stdout)["layers"][0]["digest"]

    def mount(user: str, query: str, **headers: str) -> int:
        path = f"/v2/team-a/x/blobs/uploads/?{query}"
        return status_of(user, "POST", path, headers=headers)

    assert mount("ci", f"mount={blob}&from=shared/base") == 201
    assert mount("ci", f"from=shared%2Fbase&mount={blob.replace(':', '%3A')}") == 201
    assert mount("admin", f"mount={blob}&from=shared/secret") == 201
    for query in (
        f"mount={blob}&from=shared/secret",
        f"mount={blob}&from=shared/base&from=shared/secret",
        f"mount={blob}&from=shared/secret&from=shared/base",
        f"mount={blob}&from=shared%2Fbase%2F..%2Fsecret",
        f"mount={blob}&FROM=shared/base&from=shared/secret",
        f"mount={blob};from=shared/secret",
    ):
        assert mount("ci", query) == 202, f"{query}: an upload, since the source is not its own"


def test_requests_from_the_ingress_controllers_namespace_need_a_login_too(
    sandbox: Sandbox, logins: dict[str, str]
) -> None:
    script = """
import base64, sys, urllib.error, urllib.request
wait_until_admitted("registry.registry.svc", 5000)
for login, method, path, expected in (
    ("", "GET", "/v2/", 401), ("", "DELETE", "/v2/a/manifests/1", 401),
    (sys.argv[1], "GET", "/v2/", 200), (sys.argv[1], "POST", "/v2/a/blobs/uploads/", 403),
    (sys.argv[1], "DELETE", "/v2/a/manifests/1", 403), ("", "GET", "/metrics", 404),
):
    request = urllib.request.Request("http://registry.registry.svc:5000" + path, method=method)
    if login:
        token = base64.b64encode(login.encode()).decode()
        request.add_header("Authorization", "Basic " + token)
    try:
        status = urllib.request.urlopen(request, timeout=10).status
    except urllib.error.HTTPError as error:
        status = error.code
    assert status == expected, (method, path, status)
# The Service of the maintenance leads to the pods themselves.
for port in (5001, 5003, 5081, 5082):
    try:
        urllib.request.urlopen(f"http://registry-pods.registry.svc:{port}/v2/", timeout=3)
    except OSError as error:
        assert not isinstance(error, urllib.error.HTTPError), port
    else:
        raise AssertionError(port)
print("done")
"""
    which = ("neighbor", "--namespace=kube-system")

    def ended() -> bool:
        return sandbox.get("pod", *which)["status"]["phase"] in {"Succeeded", "Failed"}

    sandbox.kubectl(
        "run", *which, "--restart=Never", f"--image={images.PYTHON}", "--image-pull-policy=Never",
        "--command", "--", "python3", "-c", WAIT_UNTIL_ADMITTED + script, logins["pull"],
    )  # fmt: skip
    try:
        eventually("it has ended", ended, 180)
        log = sandbox.kubectl("logs", *which).stdout
    finally:
        sandbox.kubectl("delete", "pod", *which)
    assert log.endswith("done\n"), log


def test_the_audit_log_tells_who_did_what_and_no_secret(
    sandbox: Sandbox, status_of: Callable[..., int], logins: dict[str, str]
) -> None:
    source = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    target = f"{sandbox.registry}/team-a/audited"
    sandbox.run("skopeo", "copy", f"--dest-creds={logins['ci']}", source, f"docker://{target}:1")
    sandbox.run("skopeo", "delete", f"--creds={logins['ci']}", f"docker://{target}:1")
    assert status_of("pull", "DELETE", "/v2/team-a/audited/manifests/1") == 403
    which = ("--namespace=registry", REGISTRY, "--container=auth-proxy", "--tail=-1")

    def audited(method: str) -> list[dict[str, Any]]:
        log = sandbox.kubectl("logs", *which).stdout.splitlines()
        lines = [json.loads(line) for line in log if "team-a/audited" in line]
        return [line for line in lines if line["request"]["method"] == method]

    eventually("both deletes are in the log", lambda: len(audited("DELETE")) == 2)
    (pushed,) = [line for line in audited("PUT") if line["kind"] == "manifests"]
    deleted, refused = audited("DELETE")
    assert (pushed["user_id"], pushed["reference"], pushed["status"]) == ("ci", "1", 201)
    assert pushed["request"]["client_ip"] == sandbox.layout.machine_ip
    assert pushed["bytes_read"] > 0
    assert (deleted["user_id"], deleted["status"]) == ("ci", 202)
    assert deleted["reference"] == pushed["digest"]
    assert (refused["user_id"], refused["status"]) == ("pull", 403)
    log = sandbox.kubectl("logs", *which).stdout
    for secret in (*(login.split(":")[1] for login in logins.values()), "_state", "Basic"):
        assert secret not in log


@pytest.fixture
def hanging(sandbox: Sandbox) -> Iterator[tuple[int, threading.Event]]:
    """A way to the storage on which signed requests hang while the event is set."""
    hang = threading.Event()
    address = (f"{REGION}.spaces.{sandbox.layout.domain}", 7070)

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(address) as server:
                back = threading.Thread(target=self.pass_on, args=(server, self.request))
                back.start()
                self.pass_on(self.request, server)
                back.join()

        def pass_on(self, source: socket.socket, target: socket.socket) -> None:
            with suppress(OSError):
                while data := source.recv(65536):
                    while hang.is_set() and b"AWS4-HMAC-SHA256" in data:
                        time.sleep(0.1)
                    target.sendall(data)
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

    with socketserver.ThreadingTCPServer((sandbox.layout.machine_ip, 0), Connection) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever).start()
        yield listener.server_address[1], hang
        hang.clear()
        listener.shutdown()


@pytest.mark.long
def test_a_pod_whose_signed_requests_hang_is_taken_out_of_service(
    sandbox: Sandbox, hanging: tuple[int, threading.Event]
) -> None:
    port, hang = hanging
    root, owner = spaces.secrets(sandbox.layout), sandbox.s3()
    owner.create_bucket(Bucket="hanging")
    with ExitStack() as undo:
        undo.callback(empty, owner, "hanging")
        second = undo.enter_context(second_stack(sandbox, "hanging"))
        second.config(
            storage__kind="s3",
            storage__endpoint=f"http://{sandbox.layout.machine_ip}:{port}",
            storage__region=REGION,
            storage__bucket="hanging",
            storage__accessKey=root.root_access_key,
            tls__mode="none",
        )
        second.pulumi(
            "config", "set", "--path", "--secret", "storage.secretKey", stdin=root.root_secret_key
        )
        second.pulumi("up", "--yes", "--skip-preview")

        def ready() -> int:
            deployment = second.get("deployment", "registry", "--namespace=registry-hanging")
            return int(deployment["status"].get("readyReplicas", 0))

        assert ready() == 1
        hang.set()
        eventually("the pod is out of service", lambda: ready() == 0)
        hang.clear()
        eventually("the pod is back in service", lambda: ready() == 1)
