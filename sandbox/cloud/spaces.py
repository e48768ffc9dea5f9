"""The processes of the cloud stand-in: Spaces, their users, and DigitalOcean's API.

Spaces are buckets of a real S3 server, versitygw, which enforces the permissions of each storage
key. Not covered: Spaces' own limits and delays, the CDN, lifecycle rules, which this server lacks,
and requests signed for another region than the Space's, such as the released Pulumi plugin's.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from secrets import token_hex

from sandbox.enclosure.process import Process
from sandbox.files import write_private
from sandbox.layout import REGION, Layout

_SPACES_PORT = 7070
_IAM_PORT = 7071
_API_PORT = 8080
_HEALTH = "/health"

STOP = 9
"""``Process.stop``: the outside world stops after everything that may still use it."""


@dataclass(frozen=True)
class CloudSecrets:
    """The credentials of the cloud stand-in.

    Attributes:
        root_access_key: The root key of the S3 server and of the IAM server.
        root_secret_key: Its secret.
        token: The DigitalOcean API token.
    """

    root_access_key: str
    root_secret_key: str
    token: str


def secrets(layout: Layout) -> CloudSecrets:
    """Return a sandbox's cloud secrets; the first call generates and stores them."""
    path = layout.state / "cloud" / "secrets.json"
    if path.exists():
        return CloudSecrets(**json.loads(path.read_text()))
    generated = CloudSecrets(
        root_access_key=f"ROOT{token_hex(8).upper()}",
        root_secret_key=token_hex(20),
        # The prefix and length of DigitalOcean's personal tokens, which scanners look for.
        token=f"dop_v1_{token_hex(32)}",
    )
    write_private(path, json.dumps(asdict(generated)))
    return generated


def processes(layout: Layout) -> list[Process]:
    """Return the processes of Spaces and the API; create the folders that they need.

    Args:
        layout: The sandbox; its ``cloud_ip`` must be an address of the network namespace in which
            the processes will run.
    """
    cloud = layout.state / "cloud"
    credentials = secrets(layout)
    for name in ("iam", "spaces"):
        # The IAM server stores the secrets of storage keys in its folder.
        (cloud / name).mkdir(mode=0o700, exist_ok=True)
    root = {
        "ROOT_ACCESS_KEY": credentials.root_access_key,
        "ROOT_SECRET_KEY": credentials.root_secret_key,
    }
    versitygw = str(layout.tools / "versitygw")
    # On loopback, since no pod needs it; numbered, since sandboxes may share a network namespace.
    iam = f"127.77.{layout.number}.3:{_IAM_PORT}"
    # The gateway reaches the IAM server over TCP only with certificates. An abstract Unix socket
    # leaves no file after a crash and belongs to the network namespace (unix(7)); calls are signed
    # with the root key.
    private = f"@k3s-registry-sandbox-{layout.number}-iam"
    spaces = f"{layout.cloud_ip}:{_SPACES_PORT}"
    api = f"{layout.cloud_ip}:{_API_PORT}"
    return [
        Process(
            "spaces-iam",
            # Its access log would contain signed URLs, hence --quiet here and below.
            [
                *(versitygw, "--port", iam, "--health", _HEALTH),
                *("iam", "--quiet", "--dir", str(cloud / "iam"), "--private-ports", private),
            ],
            root,
            stop=STOP,
        ),
        Process(
            "spaces",
            [
                *(versitygw, "--port", spaces, "--health", _HEALTH, "--quiet"),
                *("--region", REGION, "--iam-standalone-endpoint", private),
                # With a cache, a deleted key would go on working for a while.
                "--iam-cache-disable",
                *("posix", str(cloud / "spaces")),
            ],
            root,
            after=f"http://{iam}{_HEALTH}",
            stop=STOP,
        ),
        Process(
            "digitalocean-api",
            [
                *(sys.executable, "-m", "sandbox.cloud.api", "--listen", api),
                *("--iam", f"http://{iam}", "--spaces", str(cloud / "spaces")),
                *("--state", str(cloud / "keys.json"), "--domain", layout.domain),
                *("--droplet", layout.second_node.ip),
            ],
            root | {"DIGITALOCEAN_TOKEN": credentials.token, "PYTHONPATH": str(layout.root)},
            after=f"http://{spaces}{_HEALTH}",
            stop=STOP,
        ),
    ]
