"""The processes of the cloud stand-in: Spaces, the accounts behind them, and DigitalOcean's API.

Spaces are kept by a real S3 server, versitygw, which enforces what each storage key may do. Not
covered: Spaces' own limits and delays, the CDN, lifecycle rules, which this server lacks, and
requests signed for another region than the Space's, such as the released Pulumi plugin's.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from secrets import token_hex

from sandbox.enclosure.process import Process
from sandbox.layout import REGION, Layout

_SPACES_PORT = 7070
_IAM_PORT = 7071
_API_PORT = 8080
_HEALTH = "/health"

STOP = 9
"""The outside world outlives all that may still talk to it, as its end is no news to the node."""


@dataclass(frozen=True)
class CloudSecrets:
    """What opens the cloud stand-in.

    Attributes:
        root_access_key: The S3 server's and the IAM server's all-powerful key.
        root_secret_key: Its secret.
        token: The DigitalOcean API token.
    """

    root_access_key: str
    root_secret_key: str
    token: str


def secrets(layout: Layout) -> CloudSecrets:
    """Give a sandbox's cloud secrets; the first call draws and stores them."""
    path = layout.state / "cloud" / "secrets.json"
    if path.exists():
        return CloudSecrets(**json.loads(path.read_text()))
    drawn = CloudSecrets(
        root_access_key=f"ROOT{token_hex(8).upper()}",
        root_secret_key=token_hex(20),
        # The prefix and length of DigitalOcean's personal tokens, which scanners look for.
        token=f"dop_v1_{token_hex(32)}",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(asdict(drawn), file)
    return drawn


def processes(layout: Layout) -> list[Process]:
    """Give the processes that make up Spaces and the API, and make the folders that they need.

    Args:
        layout: The sandbox; its ``cloud_ip`` must be an address of the network namespace in which
            the processes will run.
    """
    cloud = layout.state / "cloud"
    opened_by = secrets(layout)
    for name in ("iam", "spaces"):
        # The IAM server keeps the secrets of storage keys in its folder.
        (cloud / name).mkdir(mode=0o700, exist_ok=True)
    root = {
        "ROOT_ACCESS_KEY": opened_by.root_access_key,
        "ROOT_SECRET_KEY": opened_by.root_secret_key,
    }
    versitygw = str(layout.tools / "versitygw")
    # Of the loopback, as the node has no business there; a number each, as sandboxes may share it.
    iam = f"127.77.{layout.number}.3:{_IAM_PORT}"
    # The gateway's way to the IAM server may be TCP only with certificates. A name in the abstract
    # namespace has no length limit to speak of, no file that a crash leaves behind, and is the
    # network namespace's own; calls are signed with the root key.
    private = f"@k3s-registry-sandbox-{layout.number}-iam"
    spaces = f"{layout.cloud_ip}:{_SPACES_PORT}"
    api = f"{layout.cloud_ip}:{_API_PORT}"
    return [
        Process(
            "spaces-iam",
            # Its log of requests would have signed URLs in it, hence --quiet here and below.
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
                # With a cache, a deleted key would go on to work for a while.
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
                *("--state", str(cloud / "keys.json")),
            ],
            root | {"DIGITALOCEAN_TOKEN": opened_by.token, "PYTHONPATH": str(layout.root)},
            after=f"http://{spaces}{_HEALTH}",
            stop=STOP,
        ),
    ]
