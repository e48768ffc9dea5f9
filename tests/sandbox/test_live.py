"""The acceptance test of an account, `make live`, with the cloud's stand-in as the account."""

from __future__ import annotations

import json
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from live.journal import Journal
from live.names import PREFIX
from sandbox.build import images
from sandbox.cloud import spaces
from sandbox.enclosure import hosts
from tests.sandbox.droplet import machine, resolve
from tests.sandbox.helpers import ROOT, Sandbox, eventually
from tests.sandbox.nodes import FILE, on_node
from tests.sandbox.test_ingress import acme_root
from tests.sandbox.test_two_configured_nodes import nodes, restarts
from tests.sandbox.two_nodes import two_nodes

__all__ = ["two_nodes"]

pytestmark = pytest.mark.long

HOME = ROOT / ".live"

OTHERS = {"name": "somebody-elses", "region": "nyc3", "size": "s-1vcpu-2gb"}


class Live:
    """The command, with the sandbox as the Internet.

    Args:
        sandbox: The sandbox, with two nodes.
        roots: A file with the roots of its ACME server.
    """

    def __init__(self, sandbox: Sandbox, roots: Path) -> None:
        self._layout = sandbox.layout
        self.environment = sandbox.environment | {
            "DIGITALOCEAN_TOKEN": spaces.secrets(sandbox.layout).token
        }
        ca = (sandbox.layout.pki / "ca.crt").read_text()
        settings = {
            "registry.image": images.REGISTRY,
            "registry.proxyImage": images.CADDY,
            "scripts.image": images.PYTHON,
            "tls.caServer": sandbox.layout.acme_server,
            "tls.caCertificates": ca,
        }
        whoami = images.archive_path(sandbox.layout.tools, "whoami")
        self._options = [
            *("--yes", f"--acme-roots={roots}", f"--domain={sandbox.layout.domain}"),
            f"--image=oci-archive:{whoami}",
            *(f"--config={key}={value}" for key, value in settings.items()),
        ]

    def start(self, *options: str) -> subprocess.Popen[str]:
        return self._start("run", *self._options, *options)

    def clean(self, *options: str) -> str:
        process = self._start("clean", *options)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        return output

    def _start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "live", *args],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def live(
    sandbox: Sandbox,
    two_nodes: None,  # noqa: ARG001 (must be there first)
    ssl_context: ssl.SSLContext,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Live]:
    assert not Journal.all(HOME), "a run of this checkout has left something: make live-clean"
    roots = tmp_path_factory.mktemp("live") / "roots.pem"
    roots.write_text(acme_root(sandbox, ssl_context))
    whoami = f"oci-archive:{images.archive_path(sandbox.layout.tools, 'whoami')}"
    docker_io = sandbox.layout.docker_io_endpoint.removeprefix("http://")
    target = f"docker://{docker_io}/traefik/whoami:latest"
    sandbox.run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", whoami, target)
    sandbox.api("POST", "droplets", {**OTHERS, "image": "debian-12-x64"})
    with machine(sandbox):
        yield Live(sandbox, roots)
    for node in nodes(sandbox):
        on_node(sandbox, f"rm -f {FILE} /etc/rancher/k3s/acme-roots.pem", node=node)
        on_node(sandbox, f"systemctl restart {node.unit}", node=node)


def control(sandbox: Sandbox, **faults: object) -> None:
    """Change how the stand-in for the API behaves."""
    url = f"{sandbox.layout.api_endpoint}_control"
    with urllib.request.urlopen(url, json.dumps(faults).encode(), timeout=10):
        pass


def account(sandbox: Sandbox) -> list[str]:
    """Return the names of all that the account has."""
    lists = {"droplets": "droplets", "account/keys": "ssh_keys", "tags": "tags"}
    lists["spaces/keys"] = "keys"
    names = [
        item["name"]
        for path, key in lists.items()
        for item in sandbox.api("GET", f"{path}?per_page=200")[key]
    ]
    return sorted([*names, *(x["Name"] for x in sandbox.s3().list_buckets()["Buckets"])])


def of_runs(sandbox: Sandbox) -> list[str]:
    """Return what is left of runs, in account, cluster and checkout."""
    namespaces = sandbox.kubectl("get", "namespaces", "--output=name").stdout.split()
    files = [*(x.run.name for x in Journal.all(HOME)), *map(str, ROOT.glob("Pulumi.*.yaml"))]
    return [name for name in [*account(sandbox), *namespaces, *files] if PREFIX in name]


def test_a_run_passes_and_leaves_nothing(sandbox: Sandbox, live: Live) -> None:
    before = account(sandbox)
    process = live.start()
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    for said in ("a push without a login is refused", "rotation", "the doctor finds nothing"):
        assert said in output
    assert account(sandbox) == before
    # The machine follows the API's droplets, a little later.
    eventually("the droplet's cluster is gone", lambda: not of_runs(sandbox))
    assert spaces.secrets(sandbox.layout).token not in output
    assert " failed" not in output
    assert restarts(sandbox, sandbox.layout.second_node), "its k3s was restarted"


def test_a_run_on_the_users_own_cluster_passes_and_leaves_nothing(
    sandbox: Sandbox, live: Live
) -> None:
    def logs() -> list[list[str]]:
        return [restarts(sandbox, node) for node in nodes(sandbox)]

    before, restarted = account(sandbox), logs()
    process = live.start(f"--kubeconfig={sandbox.layout.kubeconfig}")
    eventually("the run has a name", lambda: bool(Journal.all(HOME)))
    (journal,) = Journal.all(HOME)
    resolve(sandbox.layout, journal.run.name, sandbox.layout.node.ip)
    output, _ = process.communicate(timeout=900)
    hosts.add(sandbox.layout)
    assert process.returncode == 0, output
    assert "droplet" not in output.partition("[ 0:00]")[2].partition("] deleting ")[0]
    assert account(sandbox) == before
    assert of_runs(sandbox) == []
    assert "pods run" not in output
    assert logs() == restarted, "nodes of the user's are not changed"


def test_what_a_killed_run_has_left_is_deleted(sandbox: Sandbox, live: Live) -> None:
    before, output = account(sandbox), ""
    process = live.start()
    assert process.stdout
    while "pulumi up" not in output:
        line = process.stdout.readline()
        assert line, output
        output += line
    # The engine goes on alone.
    eventually("a Space is there", lambda: len(account(sandbox)) > len(before) + 4)
    process.kill()
    process.communicate()
    assert of_runs(sandbox)
    assert "nothing is left of" in live.clean()
    assert account(sandbox) == before
    eventually("the droplet's cluster is gone", lambda: not of_runs(sandbox))


def test_a_droplet_that_never_starts_is_deleted(sandbox: Sandbox, live: Live) -> None:
    control(sandbox, boot=3600)
    try:
        process = live.start()
        name = ["somebody-elses"]

        def created() -> bool:
            return [x["name"] for x in sandbox.api("GET", "droplets")["droplets"]] != name

        eventually("a droplet is there", created)
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=300)
    finally:
        control(sandbox, boot=2)
    assert process.returncode == 1
    assert "FAILED: SIGTERM" in output
    assert of_runs(sandbox) == []
