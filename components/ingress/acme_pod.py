"""The pod of the ACME client: Caddy, and what keeps its files in a Secret."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from components.caddy import respond
from components.metadata import labels
from components.pod_security import restricted_container, restricted_pod
from components.script_files import script_volume, token_volume
from scripts.certificates.keep_certificate import CONFIG, START
from settings.names import ACME_SECRET
from settings.schema import IngressSettings
from settings.tls import TlsLetsEncrypt

NAME = "acme-client"
"""The name of its objects, and its component label."""

LABELS = labels(NAME)

PORT = 8080
"""Where it responds to HTTP-01 challenges."""

SCRIPTS = "certificates"
"""The folder of its scripts."""

_CONFIG, _DATA, _CODE, _CREDENTIALS = (
    f"/acme/{folder}" for folder in ("config", "data", "code", "credentials")
)
_CA_FILE = "ca.pem"


@dataclass(frozen=True, kw_only=True)
class AcmeClientArgs:
    """What the client gets a certificate with."""

    tls: TlsLetsEncrypt
    ingress: IngressSettings
    namespace: pulumi.Input[str]
    hostname: str
    image: str
    script_image: str


def acme_client_config(tls: TlsLetsEncrypt, hostname: str) -> dict[str, Any]:
    """Return Caddy's configuration: https://caddyserver.com/docs/json/apps/tls/."""
    issuer: dict[str, Any] = {
        "module": "acme",
        "ca": tls.ca_server,
        "email": tls.email,
        "challenges": {"http": {"alternate_port": PORT}, "tls-alpn": {"disabled": True}},
    }
    if tls.ca_certificates:
        issuer["trusted_roots_pem_files"] = [f"{_CONFIG}/{_CA_FILE}"]
    # Let's Encrypt has no OCSP responder: https://letsencrypt.org/2024/12/05/ending-ocsp
    policy = {"subjects": [hostname], "issuers": [issuer], "disable_ocsp_stapling": True}
    start = start_config()
    start["apps"]["tls"] = {
        "certificates": {"automate": [hostname]},
        "automation": {"policies": [policy]},
    }
    return start


def start_config() -> dict[str, Any]:
    """Return Caddy's configuration until it may ask for a certificate: it listens."""
    return {
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": _DATA},
        "apps": {
            "http": {
                "servers": {
                    "challenges": {
                        "listen": [f":{PORT}"],
                        "protocols": ["h1"],
                        "automatic_https": {"disable": True},
                        "routes": [respond(404)],
                    }
                }
            }
        },
    }


def config_files(args: AcmeClientArgs) -> dict[str, str]:
    """Return Caddy's files by name."""
    configs = {START: start_config(), CONFIG: acme_client_config(args.tls, args.hostname)}
    files = {name: json.dumps(config, indent=1) + "\n" for name, config in configs.items()}
    if args.tls.ca_certificates:
        files[_CA_FILE] = args.tls.ca_certificates
    return files


def acme_pod(
    args: AcmeClientArgs, config: pulumi.Input[str], code: pulumi.Input[str]
) -> kubernetes.core.v1.PodSpecArgsDict:
    """Return the spec of the pod, with the ConfigMaps of its configuration and scripts."""
    return {
        "service_account_name": NAME,
        # Only the scripts' containers get a token: the ACME client talks to the outside.
        "automount_service_account_token": False,
        "enable_service_links": False,
        "security_context": restricted_pod(),
        "init_containers": [
            _script(args, "restore"),
            {**_script(args, "keep"), "restart_policy": "Always"},
        ],
        "containers": [
            {
                "name": NAME,
                "image": args.image,
                "command": ["caddy", "run", "--config", f"{_DATA}/{CONFIG}", "--watch"],
                "env": [{"name": "XDG_DATA_HOME", "value": _DATA}],
                "security_context": {
                    **restricted_container(),
                    # As in the auth proxy.
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
                "resources": {
                    "requests": {"cpu": "5m", "memory": "32Mi"},
                    "limits": {"memory": "128Mi"},
                },
                "volume_mounts": [
                    {"name": "config", "mount_path": _CONFIG, "read_only": True},
                    {"name": "data", "mount_path": _DATA},
                ],
            }
        ],
        "volumes": [
            {"name": "config", "config_map": {"name": config}},
            script_volume(SCRIPTS, code),
            token_volume(),
            # In memory: the keys reach no disk of a node.
            {"name": "data", "empty_dir": {"medium": "Memory", "size_limit": "1Mi"}},
        ],
    }


def _script(args: AcmeClientArgs, action: str) -> kubernetes.core.v1.ContainerArgsDict:
    secret = pulumi.Output.format("--secret={0}/{1}", args.namespace, ACME_SECRET)
    return {
        "name": action,
        "image": args.script_image,
        "command": [
            *(
                "python3",
                "-m",
                "scripts.certificates.keep_certificate",
                action,
                f"--folder={_DATA}",
            ),
            *(f"--config={_CONFIG}", f"--port={PORT}"),
            *(f"--hostname={args.hostname}", f"--server={args.tls.ca_server}"),
            *(secret, f"--credentials={_CREDENTIALS}"),
        ],
        "working_dir": _CODE,
        "security_context": restricted_container(),
        "resources": {
            "requests": {"cpu": "1m", "memory": "24Mi"},
            "limits": {"memory": "64Mi"},
        },
        "volume_mounts": [
            {"name": "code", "mount_path": f"{_CODE}/scripts", "read_only": True},
            {"name": "config", "mount_path": _CONFIG, "read_only": True},
            {"name": "credentials", "mount_path": _CREDENTIALS, "read_only": True},
            {"name": "data", "mount_path": _DATA},
        ],
    }
