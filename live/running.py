"""One run, from nothing to nothing."""

from __future__ import annotations

import json
import os
import ssl
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from live import droplet, story
from live.cleaning import DROPLET, SSH_KEY, STACK
from live.cloud import Cloud
from live.commands import CommandError, Commands
from live.journal import Journal
from live.stack import Stack, environment
from sandbox.files import write_private

ROOTS = tuple(
    f"https://letsencrypt.org/certs/staging/{name}.pem"
    for name in (
        *("letsencrypt-stg-root-x1", "letsencrypt-stg-root-x2"),
        *("gen-y/root-yr", "gen-y/root-ye"),
    )
)
"""https://letsencrypt.org/docs/staging-environment/"""

STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"

ACTIVE_SECONDS, BOOT_SECONDS = 300, 600
"""For a droplet to be active, and for its k3s to serve; each takes about a minute."""


class RunError(Exception):
    """The run cannot go on; says why."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may choose.

    Attributes:
        region: Of droplet and Space.
        size: Of the droplet.
        k3s: The version of k3s.
        domain: One whose names resolve to the addresses in them.
        image: The image that podman pulls first.
        acme_roots: A file with the roots of the certificate; else Let's Encrypt's for tests.
        settings: More of the stack's settings.
    """

    region: str
    size: str
    k3s: str
    domain: str
    image: str
    acme_roots: Path | None
    settings: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What a run does.

    Attributes:
        cloud: The account.
        say: Tells of a step.
        sleep: Waits for some seconds.
    """

    journal: Journal
    commands: Commands
    cloud: Cloud
    options: Options
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep

    def run(self, kubeconfig: str | None) -> None:
        """Create everything, and tell the story.

        Args:
            kubeconfig: That of the user's own cluster; without it, a droplet is created.
        """
        folder = self.journal.folder
        roots = self._acme_roots()
        (folder / "acme-roots.pem").write_text(roots)
        (folder / "bundle.pem").write_text(_trusted() + roots)
        if kubeconfig is None:
            address = self.create_droplet(roots)
        else:
            # In this order: what is journaled can be deleted from its cluster.
            write_private(self.journal.kubeconfig, kubeconfig)
            self.journal.write(cluster="the user's own")
            address = self._address_of_traefik()
        hostname = self.journal.run.hostname(address, self.options.domain)
        stack = self.create_stack(hostname, own_cluster=kubeconfig is not None)
        scene = story.Scene(
            journal=self.journal,
            commands=self.commands,
            stack=stack,
            hostname=hostname,
            image=self.options.image,
            prefix="" if kubeconfig else f"images.{hostname}",
            say=self.say,
            sleep=self.sleep,
        )
        story.tell(scene)
        self.say("pulumi destroy")
        stack.destroy()

    def create_droplet(self, acme_roots: str) -> str:
        """Create the droplet, wait until its k3s serves, and return its address.

        Raises:
            CloudError, CommandError, RunError: It is not there in time.
        """
        run, options, folder = self.journal.run, self.options, self.journal.folder
        droplet.create_keys(self.journal, self.commands)
        self.say(f"creating the SSH key {run.name}")
        self.journal.creating(SSH_KEY)
        key = self.cloud.create_ssh_key(run, (folder / "client.pub").read_text().strip())
        self.journal.write(**{SSH_KEY: str(key["id"])})
        self.say(f"creating the droplet {run.name}: {options.size} in {options.region}")
        host, public = (folder / "host").read_text(), (folder / "host.pub").read_text()
        self.journal.creating(DROPLET)
        created = self.cloud.create_droplet(
            run,
            region=options.region,
            size=options.size,
            image=droplet.IMAGE,
            ssh_keys=[key["id"]],
            user_data=droplet.user_data(host, public.strip(), acme_roots, options.k3s),
        )
        self.journal.write(**{DROPLET: str(created["id"])})
        address = self._wait_until_active(int(created["id"]))
        self.say(f"waiting for k3s {options.k3s} on {address}: a few minutes")
        self._wait_for_k3s(address)
        return address

    def _wait_until_active(self, identifier: int) -> str:
        deadline = time.monotonic() + ACTIVE_SECONDS
        while time.monotonic() < deadline:
            shown = self.cloud.droplet(identifier)
            addresses = [x["ip_address"] for x in shown["networks"]["v4"] if x["type"] == "public"]
            if shown["status"] == "active" and addresses:
                return str(addresses[0])
            self.sleep(2)
        raise RunError(f"the droplet {identifier} is not active after {ACTIVE_SECONDS} s")

    def _wait_for_k3s(self, address: str) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        env = environment(self.journal, os.environ)
        ready = ("kubectl", "get", "--namespace=kube-system", "service", "traefik", "--output=json")
        while time.monotonic() < deadline:
            # The last thing that k3s starts is Traefik, by a Job.
            with suppress(CommandError):
                fetched = droplet.fetch_kubeconfig(self.journal, self.commands, address)
                if fetched and _addresses(self.commands.run(*ready, env=env)):
                    return
            self.sleep(3)
        log = droplet.why_not_up(self.journal, self.commands, address)
        raise RunError(f"no k3s with Traefik on {address} after {BOOT_SECONDS} s:\n{log}")

    def _address_of_traefik(self) -> str:
        get = ("get", "--namespace=kube-system", "service", "traefik", "--output=json")
        env = environment(self.journal, os.environ)
        if addresses := _addresses(self.commands.run("kubectl", *get, env=env)):
            return addresses[0]
        raise RunError("the Service traefik in kube-system has no address: expected k3s' ServiceLB")

    def create_stack(self, hostname: str, *, own_cluster: bool) -> Stack:
        """Create the stack, and run `pulumi up`."""
        run, options = self.journal.run, self.options
        stack = Stack(self.journal, self.commands)
        nodes = {}
        if not own_cluster:
            create = ("kubectl", "create", "namespace", run.pods)
            self.commands.run(*create, env=stack.environment)
            nodes = {"nodes.mirrorPrefix": f"images.{hostname}", "nodes.configure": "true"}
            nodes["nodes.caFile"] = droplet.ACME_ROOTS
        self.journal.creating(STACK)
        stack.create(
            {
                "hostname": hostname,
                "namespace": run.name,
                "storage.region": options.region,
                "storage.namePrefix": run.name,
                "storage.onDestroy": "delete",
                "tls.mode": "letsEncrypt",
                # Let's Encrypt sends no mail, and the name is the run's own.
                "tls.email": f"admin@{hostname}",
                "tls.caServer": STAGING,
                **nodes,
                **options.settings,
            }
        )
        self.say(f"pulumi up: https://{hostname}")
        stack.up()
        return stack

    def _acme_roots(self) -> str:
        """Return the roots of the CA that issues certificates for tests, which nobody trusts."""
        if self.options.acme_roots:
            return self.options.acme_roots.read_text()
        texts = []
        for url in ROOTS:
            try:
                with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 (a constant)
                    texts.append(response.read().decode())
            except OSError as error:
                raise RunError(f"{url}: {error}") from error
        return "\n".join(texts)


def _trusted() -> str:
    """Return the certificates of the authorities that this machine trusts."""
    default = ssl.get_default_verify_paths()
    file = os.environ.get("SSL_CERT_FILE") or default.cafile
    if not file:
        import certifi

        file = certifi.where()
    return Path(file).read_text() + "\n"


def _addresses(service: str) -> list[str]:
    """Return the addresses of a Service, as ServiceLB tells them."""
    status = json.loads(service).get("status", {})
    return [x["ip"] for x in status.get("loadBalancer", {}).get("ingress") or [] if x.get("ip")]
