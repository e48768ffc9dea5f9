"""Compare the registry with the seed's and a plain one in the same cluster: `make bench-compare`.

All three run behind the same Traefik and TLS, on the same S3 server, and take turns in every round.
The raw data goes to docs/performance.csv. Run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from bench.__main__ import ROOT, run, sandbox, timed
from sandbox import lifecycle
from sandbox.build import debian, images
from sandbox.cloud import spaces
from sandbox.enclosure import enclosure
from sandbox.engine import engine
from sandbox.layout import REGION, Layout
from tests.sandbox.crane import new_layer, with_own_hosts

NAME = "sandbox-bench"
CSV = ROOT / "docs" / "performance.csv"
IMAGES = {"20 x 100 kB": (20, 100_000), "400 MB": (1, 400_000_000)}
OURS, SEED, PLAIN = "this program", "seed (2.8.2)", "plain (3.1.2)"
DELAYS = (0, 10, 30)
"""Milliseconds that each response of the S3 server takes longer."""

HTPASSWD_COST = 10
"""Of Pulumi's ``bcrypt_hash``, which a plain program would use; the seed's htpasswd takes 5."""

SPACES_PORT = 7070
"""Of the S3 server, and of the proxy before it: network policies admit no other."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="default 10")
    args = parser.parse_args()
    layout = lifecycle.claim(ROOT, NAME)
    sandbox(layout, "wipe")
    try:
        sandbox(layout, "up")
        with tempfile.TemporaryDirectory(dir=layout.state) as folder:
            rows = list(measured(layout, Path(folder), args.rounds))
    finally:
        sandbox(layout, "wipe")
    with CSV.open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("delay_ms", "round", "registry", "image", "work", "seconds"))
        writer.writerows(rows)


def measured(layout: Layout, folder: Path, rounds: int) -> Iterator[tuple[object, ...]]:
    """Yield delay, number of the round, and what :func:`one_round` does, for all rounds."""
    registries = deploy(layout, folder)
    for number in range(1, rounds + 1):
        for delay in DELAYS:
            with delayed(layout, delay):
                for row in one_round(layout, folder, registries, number):
                    yield (delay, number, *row)
            # Each round is of new bytes, 1.2 GB of them.
            spaces_data = str(layout.state / "cloud" / "spaces")
            blobs = ("-path", "*/blobs/*", "-name", "data")
            run(layout, "find", spaces_data, *blobs, "-delete")


def one_round(
    layout: Layout, folder: Path, registries: dict[str, str], number: int
) -> Iterator[tuple[str, str, str, str]]:
    """Push, push again and pull new images of random bytes, one registry after the other.

    Args:
        layout: The sandbox.
        folder: With the clients' login and hosts file.
        registries: The hostname of each registry.
        number: Of the round; the first one of the registries takes turns.

    Yields:
        Registry, image, work and seconds.
    """
    names = list(registries)
    names = names[number % len(names) :] + names[: number % len(names)]
    for hostname in registries.values():
        # Opens the connections that `delayed` has ended.
        crane(layout, folder, "catalog", hostname)
    for image, (layers, size) in IMAGES.items():
        files = [folder / f"{x}.tar.gz" for x in range(layers)]
        for file in files:
            new_layer(file, size)
        append = ["append", *(f"--new_layer={file}" for file in files)]
        for name in names:
            target = f"--new_tag={registries[name]}/bench/image:{layers}"
            for work in ("push", "push again"):
                seconds, _ = timed(partial(crane, layout, folder, *append, target))
                yield name, image, work, f"{seconds:.3f}"
            pull = ["pull", "--format=oci", f"{registries[name]}/bench/image:{layers}"]
            with tempfile.TemporaryDirectory(dir=folder) as output:
                seconds, _ = timed(partial(crane, layout, folder, *pull, f"{output}/out"))
            yield name, image, "pull", f"{seconds:.3f}"
        for file in files:
            file.unlink()


def crane(layout: Layout, folder: Path, *arguments: str, stdin: str = "") -> str:
    """Run crane with names that only it knows; certificates are not verified."""
    command = [*with_own_hosts(folder / "hosts"), *arguments]
    return run(layout, *command, stdin=stdin, DOCKER_CONFIG=str(folder))


def deploy(layout: Layout, folder: Path) -> dict[str, str]:
    """Deploy the other two registries, and log in to all; return the hostname of each."""
    registries = {OURS: layout.hostname, SEED: f"seed.{layout.domain}"}
    registries |= {PLAIN: f"plain.{layout.domain}"}
    hosts = layout.hosts | dict.fromkeys(registries.values(), layout.node_ip)
    lines = "".join(f"{ip} {name}\n" for name, ip in hosts.items())
    (folder / "hosts").write_text(f"127.0.0.1 localhost\n{lines}")
    debian.unpack("docker-registry", folder)
    password = engine.outputs(layout)["password"]
    for name, cost in (("seed", 5), ("plain", HTPASSWD_COST)):
        users = f"admin:{bcrypt(layout, password, cost)}\n"
        run(
            layout, "kubectl", "apply", "--filename=-", stdin=manifests(layout, name, users, folder)
        )
        run(layout, "kubectl", "rollout", "status", f"deployment/{name}", "--timeout=60s")
    for hostname in registries.values():
        login = ("auth", "login", hostname, "--username=admin", "--password-stdin")
        crane(layout, folder, *login, stdin=password)
        wait_until_served(layout, folder, hostname)
    return registries


def wait_until_served(layout: Layout, folder: Path, hostname: str) -> None:
    """Wait until Traefik, which collects changes for 2 s, knows a registry."""
    deadline = time.monotonic() + 30
    while True:
        try:
            crane(layout, folder, "catalog", hostname)
        except SystemExit:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def bcrypt(layout: Layout, password: str, cost: int) -> str:
    """Return a bcrypt hash, the only kind that the registry's own htpasswd takes."""
    command = ["caddy", "hash-password", "--algorithm=bcrypt", f"--bcrypt-cost={cost}"]
    return run(layout, *command, stdin=f"{password}\n").strip()


def manifests(layout: Layout, name: str, users: str, folder: Path) -> str:
    """Return the objects of a registry, as a Kubernetes List in JSON.

    Args:
        layout: The sandbox.
        name: ``seed`` runs Debian's 2.8.2 as the story does, all else 3.1.2.
        users: The contents of htpasswd.
        folder: With the files of Debian's package.
    """
    keys = spaces.secrets(layout)
    config = {
        "version": "0.1",
        "storage": {
            "s3": {
                "accesskey": keys.root_access_key,
                "secretkey": keys.root_secret_key,
                "region": REGION,
                "regionendpoint": layout.spaces_endpoint.replace("{{.Region}}", REGION),
                "bucket": engine.outputs(layout)["storage_connection"]["bucket"],
                "rootdirectory": f"/{name}",
                "forcepathstyle": True,
                "secure": False,
            },
            # As this program does by default: all three pass on what the S3 server sends.
            "redirect": {"disable": True},
            "delete": {"enabled": True},
        },
        "http": {"addr": ":5000", "relativeurls": True},
        "auth": {"htpasswd": {"realm": "registry", "path": "/config/htpasswd"}},
    }
    seed = name == "seed"
    binary = "/debian/usr/bin/docker-registry" if seed else "registry"
    labels = {"app": name}
    volumes = [
        {"name": "config", "secret": {"secretName": name}},
        {"name": "debian", "hostPath": {"path": str(folder)}},
    ]
    container = {
        "name": "registry",
        "image": images.PYTHON if seed else images.REGISTRY,
        "command": [binary, "serve", "/config/config.yml"],
        # Version 3 reports to a collector, and waits for it at each rollout, unless told not to.
        "env": [{"name": "OTEL_TRACES_EXPORTER", "value": "none"}],
        "resources": {"requests": {"cpu": "50m"}},
        "readinessProbe": {"tcpSocket": {"port": 5000}, "periodSeconds": 1},
        "volumeMounts": [{"name": x["name"], "mountPath": f"/{x['name']}"} for x in volumes],
    }
    backend = {"service": {"name": name, "port": {"number": 5000}}}
    rule = {"path": "/", "pathType": "Prefix", "backend": backend}
    host = f"{name}.{layout.domain}"
    objects: list[tuple[str, str, dict[str, Any]]] = [
        ("v1", "Secret", {"stringData": {"config.yml": yaml.safe_dump(config), "htpasswd": users}}),
        ("v1", "Service", {"spec": {"selector": labels, "ports": [{"port": 5000}]}}),
        (
            "apps/v1",
            "Deployment",
            {
                "spec": {
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [container], "volumes": volumes},
                    },
                }
            },
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            {
                "spec": {
                    "ingressClassName": "traefik",
                    "tls": [{"hosts": [host]}],
                    "rules": [{"host": host, "http": {"paths": [rule]}}],
                }
            },
        ),
    ]
    metadata = {"name": name, "namespace": "default"}
    items = [
        {"apiVersion": version, "kind": kind, "metadata": metadata} | rest
        for version, kind, rest in objects
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


@contextmanager
def delayed(layout: Layout, milliseconds: int) -> Iterator[None]:
    """Redirect the pods' connections to the S3 server through `bench.delay`."""
    if not milliseconds:
        yield
        return
    inside = enclosure.enter(layout.node)
    listen, server = (f"{ip}:{SPACES_PORT}" for ip in (layout.node_ip, layout.cloud_ip))
    to_server = [*("--protocol", "tcp"), "--dport", str(SPACES_PORT)]
    redirect = ["--jump", "DNAT", "--to-destination", listen]
    iptables = [*inside, "iptables", "--table", "nat"]
    rule = ["PREROUTING", "--destination", layout.cloud_ip, *to_server, *redirect]
    delay = [sys.executable, "-m", "bench.delay", listen, server, str(milliseconds)]
    with listening([*inside, "env", f"PYTHONPATH={ROOT}", *delay]):
        run(layout, *iptables, "--insert", *rule)
        try:
            # Rules hold for new connections only: the registries' open ones have to be forgotten.
            forget = [*inside, "conntrack", "--delete", "--orig-dst", layout.cloud_ip]
            subprocess.run([*forget, *to_server], check=False, capture_output=True)
            yield
        finally:
            run(layout, *iptables, "--delete", *rule)


@contextmanager
def listening(command: list[str]) -> Iterator[None]:
    """Run `bench.delay`, which must listen: the one before it must be gone."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as proxy:
        try:
            if not (proxy.stdout and proxy.stdout.readline()):
                sys.exit(f"{' '.join(command)} does not listen")
            yield
        finally:
            # nsenter waits for its child, but does not kill it.
            os.killpg(proxy.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
