"""The README's commands, from `pulumi new` to a login."""

from __future__ import annotations

import http.server
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml

from sandbox import pki
from sandbox.build import images
from sandbox.cloud import spaces
from tests.sandbox.helpers import ROOT, Result, Sandbox
from tests.sandbox.kubeconfigs import serving
from tests.sandbox.test_ingress import acme_root

ARCHIVE = "owner/k3s-registry/archive/refs/heads/main.zip"


class Shell:
    """A shell in an empty folder, with the sandbox's cluster, cloud and engine.

    Args:
        sandbox: The sandbox.
        folder: The folder.
    """

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.folder = folder
        # `pulumi new` selects the stack that it creates.
        self._environment = dict(sandbox.environment)
        del self._environment["PULUMI_STACK"]

    def run(self, command: str, typed: str = "", *, fails: bool = False) -> Result:
        result = subprocess.run(
            ["sh", "-ec", command],
            cwd=self.folder,
            env=self._environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode != 0) == fails, f"{command}\n{result.stdout}\n{result.stderr}"
        return result


@pytest.fixture
def shell(sandbox: Sandbox, tmp_path: Path) -> Iterator[Shell]:
    folder = tmp_path / "new"
    folder.mkdir()
    shell = Shell(sandbox, folder)
    yield shell
    shell.run("pulumi destroy --yes --skip-preview && pulumi stack rm --yes")


@contextmanager
def served(sandbox: Sandbox, folder: Path) -> Iterator[str]:
    """Serve the archive of the last commit, laid out as GitHub does, over HTTPS."""
    archive = folder / ARCHIVE
    archive.parent.mkdir(parents=True)
    prefix = "--prefix=k3s-registry-main/"
    subprocess.run(["git", "archive", prefix, "-o", archive, "HEAD"], cwd=ROOT, check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pki.issue(sandbox.layout.pki, "archive", "localhost"))
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serving(server) as port:
        yield f"https://localhost:{port}/{ARCHIVE}"


def commands() -> list[str]:
    """Return the commands of the README's section on deployment, one for each step."""
    section = (ROOT / "README.md").read_text().split("## Deploy it")[1].split("\n## ")[0]
    return re.findall(r"^\d\. .*?```bash\n +(.*?)\n +```", section, re.DOTALL | re.MULTILINE)


def test_five_commands_of_the_readme_lead_from_nothing_to_a_login(
    sandbox: Sandbox, shell: Shell, ssl_context: ssl.SSLContext, tmp_path: Path
) -> None:
    new, token, tls, up, login = commands()
    hostname = f"second.{sandbox.layout.domain}"
    with served(sandbox, tmp_path) as url:
        options = f"--yes --name five-commands --stack prod --config hostname={hostname}"
        shell.run(f"{new.replace(new.split()[-1], url)} {options}")
    shell.run(token, spaces.secrets(sandbox.layout).token)
    shell.run(tls)
    # The sandbox's own stack has the namespace; images and the ACME server are the sandbox's.
    ours = {"namespace": "registry-five", "registry.image": images.REGISTRY}
    ours |= {"registry.proxyImage": images.CADDY, "scripts.image": images.PYTHON}
    ours |= {"storage.onDestroy": "delete", "tls.caServer": sandbox.layout.acme_server}
    pairs = " ".join(f"--plaintext {key}={value}" for key, value in ours.items())
    shell.run(f"pulumi config set-all --path {pairs}")
    shell.run(f"pulumi config set --path tls.caCertificates < {sandbox.layout.pki}/ca.crt")
    shell.run(f"{up} --yes --skip-preview")
    login = login.replace("registry.example.com", hostname)
    # As everybody trusts Let's Encrypt.
    (tmp_path / "ca.crt").write_text(acme_root(sandbox, ssl_context))
    result = shell.run(f"{login} --authfile {tmp_path}/auth.json --cert-dir {tmp_path}")
    assert "Login Succeeded!" in result.stdout


def test_a_new_project_of_a_path_without_a_hostname_says_that_it_is_missing(
    sandbox: Sandbox, shell: Shell
) -> None:
    subprocess.run(["make", "--silent", "template"], cwd=ROOT, check=True)
    shell.run(f"pulumi new {ROOT}/dist/template --yes --name no-hostname --stack prod")
    assert not (shell.folder / "sandbox").exists()
    stack = yaml.safe_load((shell.folder / "Pulumi.prod.yaml").read_text())
    assert list(stack) == ["encryptionsalt"]
    refused = shell.run("pulumi preview --non-interactive", fails=True).stdout
    assert "pulumi config set hostname" in refused
    assert "pulumi config set --secret digitalocean:token" in refused
    assert "2 problems" in refused, "no other key must be set"
    shell.run("pulumi config set --secret digitalocean:token", spaces.secrets(sandbox.layout).token)
    hostname = f"second.{sandbox.layout.domain}"
    shell.run(f"pulumi config set hostname {hostname} && pulumi config set namespace second")
    assert "to create" in shell.run("pulumi preview --non-interactive").stdout
