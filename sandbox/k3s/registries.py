"""The stand-in for k3s's translation of registries.yaml to containerd's configuration.

It follows https://github.com/k3s-io/k3s/blob/master/pkg/agent/containerd/config.go, with one
difference: k3s writes logins to containerd's configuration, which requires a restart; here they are
a header in hosts.toml, which containerd reads at every pull. Not covered: wildcards, rewrites,
paths of endpoints, client certificates, the embedded registry.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.files import write_private


def apply(k3s: Path, hosts: Path, docker_io: str) -> None:
    """Do what k3s does when it starts.

    Args:
        k3s: The node's /etc/rancher/k3s; without registries.yaml, only docker.io is configured.
        hosts: The folder in which containerd looks for ``<host>/hosts.toml``.
        docker_io: The URL of the stand-in for docker.io.
    """
    file = k3s / "registries.yaml"
    registries = yaml.safe_load(file.read_text()) if file.exists() else None
    flags: dict[str, object] = {}
    for path in [k3s / "config.yaml", *sorted((k3s / "config.yaml.d").glob("*.yaml"))]:
        flags |= (yaml.safe_load(path.read_text()) if path.exists() else None) or {}
    only_mirrors = flags.get("disable-default-registry-endpoint") is True
    shutil.rmtree(hosts, ignore_errors=True)
    for host, text in translate(registries or {}, docker_io, only_mirrors=only_mirrors).items():
        write_private(hosts / host / "hosts.toml", text)


def translate(
    registries: Mapping[str, Any], docker_io: str, *, only_mirrors: bool
) -> dict[str, str]:
    """Return each host's hosts.toml (https://github.com/containerd/containerd/blob/main/docs/hosts.md).

    Args:
        registries: The content of registries.yaml.
        docker_io: The URL of the stand-in for docker.io.
        only_mirrors: Whether a host with mirrors is never used itself.
    """
    mirrors: Mapping[str, Any] = registries.get("mirrors") or {}
    configs: Mapping[str, Any] = registries.get("configs") or {}
    texts = {}
    for host in dict.fromkeys(["docker.io", *mirrors, *configs]):
        endpoints = list((mirrors.get(host) or {}).get("endpoint", []))
        # As in k3s, a host with a config of its own is always used.
        if not (only_mirrors and host in mirrors and host not in configs):
            endpoints.append(docker_io if host == "docker.io" else f"https://{host}")
        # The last one is also `server`, or containerd would then try the host itself; and it is a
        # [host], since containerd rejects a file without: https://github.com/k3s-io/k3s/issues/9983
        last = endpoints[-1]
        texts[host] = f"server = {json.dumps(last)}\n{_options(last, '', configs)}" + "".join(
            f"[host.{json.dumps(url)}]\n{_options(url, f'host.{json.dumps(url)}.', configs)}"
            for url in dict.fromkeys(endpoints)
        )
    return texts


def _options(url: str, table: str, configs: Mapping[str, Any]) -> str:
    # A JSON string is a basic string of TOML (https://toml.io/en/v1.0.0#string).
    config = configs.get(url.partition("://")[2]) or {}
    text = 'capabilities = ["pull", "resolve"]\n'
    if authority := (config.get("tls") or {}).get("ca_file"):
        text += f"ca = {json.dumps(authority)}\n"
    if login := config.get("auth"):
        pair = base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()
        text += f'[{table}header]\nAuthorization = ["Basic {pair}"]\n'
    return text
