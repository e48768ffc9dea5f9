"""What the cluster enforces, and what happens on failures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

from sandbox.enclosure.enclosure import enter
from tests.sandbox.helpers import Sandbox, eventually

METADATA_IP = "169.254.169.254"

FETCH = """
import http.client, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
port = url.port or {"http": 80, "https": 443}[url.scheme]
connection = http.client.HTTPConnection(url.hostname, port, timeout=4)
try:
    connection.connect()
except (ConnectionRefusedError, TimeoutError) as error:
    print("refused", error)
else:
    connection.request("GET", url.path)
    response = connection.getresponse()
    print(response.status, response.headers["location"] or "")
"""
"""Fails if a name does not resolve. It speaks no TLS: servers of https respond with 400."""

SLEEPING = {
    "name": "main",
    "image": "localhost/python:3",
    "imagePullPolicy": "Never",
    "command": ["python3", "-c", "import time; time.sleep(3600)"],
}
"""A container to send requests from."""


@contextmanager
def running(sandbox: Sandbox, pod: dict[str, Any]) -> Iterator[None]:
    """Run a pod meanwhile."""
    which = (f"pod/{pod['metadata']['name']}", f"--namespace={pod['metadata']['namespace']}")
    sandbox.apply({"apiVersion": "v1", "kind": "Pod", **pod})
    try:
        # Not until it is ready: some never are.
        sandbox.kubectl("wait", *which, "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
        yield
    finally:
        sandbox.kubectl("delete", *which)


def client(sandbox: Sandbox, name: str) -> AbstractContextManager[None]:
    """Run a pod in the namespace default to send requests from."""
    spec = {"terminationGracePeriodSeconds": 0, "containers": [SLEEPING]}
    metadata = {"name": name, "namespace": "default"}
    return running(sandbox, {"metadata": metadata, "spec": spec})


def fetch(sandbox: Sandbox, pod: str, url: str, namespace: str = "default") -> str:
    where = (f"--namespace={namespace}", pod, "--")
    return sandbox.kubectl("exec", *where, "python3", "-c", FETCH, url).stdout.strip()


def test_a_pod_of_another_namespace_does_not_reach_the_registry(sandbox: Sandbox) -> None:
    with client(sandbox, "neighbour"):
        direct = fetch(sandbox, "neighbour", "http://registry.registry.svc:5000/v2/")
        redirect = fetch(sandbox, "neighbour", f"http://{sandbox.registry}/v2/")
    assert direct.startswith("refused"), "network policies let only the ingress controller in"
    assert redirect == f"308 https://{sandbox.registry}/v2/", (
        "the path there must be open, or the line above shows nothing; "
        "and over plain HTTP nobody may be asked for a password"
    )


def listens(sandbox: Sandbox, url: str) -> bool:
    return fetch(sandbox, "control", url).startswith("200")


@contextmanager
def metadata_server(sandbox: Sandbox, port: int) -> Iterator[None]:
    """Listen where clouds hand out credentials."""
    inside = enter(sandbox.layout.node)
    address = ["ip", "address", "{}", f"{METADATA_IP}/32", "dev", "lo"]
    subprocess.run([*inside, *(x.format("add") for x in address)], check=True)
    server = subprocess.Popen(
        [*inside, sys.executable, "-m", "http.server", f"--bind={METADATA_IP}", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # nsenter waits for its child, but does not kill it.
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        subprocess.run([*inside, *(x.format("del") for x in address)], check=True)


def test_the_namespace_refuses_a_pod_with_rights(sandbox: Sandbox) -> None:
    result = sandbox.kubectl(
        "run", "seed", "--namespace=registry", "--image=registry:2", fails=True
    )
    assert 'violates PodSecurity "restricted' in result.stderr


def test_the_registry_runs_without_rights(sandbox: Sandbox) -> None:
    (pod,) = sandbox.pods()
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsUser"] == 65532
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        values = [variable.get("value", "") for variable in container["env"]]
        for secret in sandbox.secret("registry-storage-key")["credentials"].split():
            assert secret not in values


def test_an_attacker_inside_the_registrys_pod_reaches_only_dns_and_the_storage(
    sandbox: Sandbox,
) -> None:
    attacker = {
        "metadata": {
            "name": "attacker",
            "namespace": "registry",
            "labels": {
                "app.kubernetes.io/name": "registry",
                "app.kubernetes.io/component": "registry",
            },
        },
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    **SLEEPING,
                    # Never ready, so that the registry's Service does not lead to it.
                    "readinessProbe": {"exec": {"command": ["/bin/false"]}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }

    def response(url: str) -> str:
        return fetch(sandbox, "attacker", url, "registry")

    bucket = f"{sandbox.s3_endpoint}/{sandbox.bucket}"
    api_server = sandbox.get("service", "kubernetes")["spec"]["clusterIP"]
    forbidden = (
        f"https://{api_server}/version",
        f"https://{sandbox.layout.node_ip}:6443/version",
        f"http://{sandbox.layout.cloud_ip}:8080/v2/spaces/keys",
        f"http://{sandbox.layout.node_ip}/",
    )
    with running(sandbox, attacker), client(sandbox, "control"):
        # A new pod may reach everything until the network policies' controller knows it.
        eventually("it is restricted", lambda: response(forbidden[0]).startswith("refused"))
        eventually("the storage is reached", lambda: response(bucket) == "403")
        for url in forbidden:
            assert not fetch(sandbox, "control", url).startswith("refused"), f"{url} is nowhere"
            assert response(url).startswith("refused"), url
        # The storage's port, and that of DNS.
        for port in (7070, 53):
            with metadata_server(sandbox, port):
                url = f"http://{METADATA_IP}:{port}/"
                eventually("it listens", partial(listens, sandbox, url))
                assert response(url).startswith("refused"), port


def test_up_fails_with_the_end_of_the_smoke_tests_log_when_the_registry_cannot_store(
    sandbox: Sandbox,
) -> None:
    state = json.loads(sandbox.pulumi("stack", "export").stdout)
    (key,) = [
        resource
        for resource in state["deployment"]["resources"]
        if resource["urn"].endswith("::storage-key")
    ]
    sandbox.config(registry__parallelUploads=8)
    try:
        grant(sandbox, key["id"], "read")
        try:
            failed = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True)
        finally:
            grant(sandbox, key["id"], "readwrite")
        sandbox.pulumi("up", "--yes", "--skip-preview")
    finally:
        sandbox.pulumi("config", "rm", "--path", "registry.parallelUploads")
        sandbox.pulumi("up", "--yes", "--skip-preview")
    assert "FAILED: POST" in failed.stdout, failed.stdout[-3000:]
    assert "expected 202, got 500" in failed.stdout


def test_an_ingress_of_another_with_the_same_host_is_refused(sandbox: Sandbox) -> None:
    sandbox.kubectl("create", "ingress", "shop", f"--rule={sandbox.registry}/*=shop:80")
    try:
        refused = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True).stdout
    finally:
        sandbox.kubectl("delete", "ingress", "shop")
    assert "1 problem in the configuration of this stack; nothing was changed" in refused
    assert "the Ingress default/shop serves this hostname already" in refused
    assert "Traceback" not in refused
    sandbox.pulumi("preview", "--expect-no-changes")


def grant(sandbox: Sandbox, access_key: str, permission: str) -> None:
    """Change a key's permissions outside of Pulumi."""
    grants = [{"bucket": sandbox.bucket, "permission": permission}]
    body = {"name": sandbox.registry, "grants": grants}
    sandbox.api("PUT", f"spaces/keys/{access_key}", body)


def test_a_new_password_needs_no_restart_and_ends_the_old_one(sandbox: Sandbox) -> None:
    def registry_pod() -> Any:
        (pod,) = sandbox.pods()
        return pod["metadata"]["name"], pod["status"]["containerStatuses"][0]["restartCount"]

    before, old = registry_pod(), sandbox.password
    urns = sandbox.pulumi("stack", "--show-urns").stdout.split()
    (urn,) = [urn for urn in urns if urn.endswith("::credentials-admin")]
    sandbox.pulumi("up", "--yes", "--skip-preview", "--replace", urn)
    del sandbox.__dict__["password"]
    assert sandbox.password != old
    # The end of `up` says that the new one works.
    assert sandbox.http("GET", "/v2/", login=True)[0] == 200
    assert registry_pod() == before, "pulls and pushes of others must go on"
    login = ["podman", "login", sandbox.registry, "--username=admin", "--password-stdin"]
    refused = sandbox.run(*login, stdin=old, fails=True)
    assert "invalid username/password" in refused.stderr
    sandbox.pulumi("preview", "--expect-no-changes")
