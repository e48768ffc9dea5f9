"""The stand-in for Let's Encrypt: pebble, an ACME server made for tests.

It speaks the real protocol, and validates that the client controls the name. Not covered: Let's
Encrypt's rate limits, and that clients trust it: it has a new root certificate at each start.
"""

from __future__ import annotations

import json

from sandbox import pki
from sandbox.cloud.spaces import STOP
from sandbox.enclosure.process import Process
from sandbox.layout import Layout

_PORT, _MANAGEMENT_PORT = 14000, 15000
"""pebble's defaults: https://github.com/letsencrypt/pebble"""


def processes(layout: Layout) -> list[Process]:
    """Return pebble's process; write its configuration.

    Args:
        layout: The sandbox; its ``cloud_ip`` must be an address of the network namespace in which
            the process will run.
    """
    pki.authority(layout.pki)
    certificate, key = pki.issue(layout.pki, "acme", layout.acme_host)
    path = layout.state / "cloud" / "acme.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {
        "listenAddress": f"{layout.cloud_ip}:{_PORT}",
        "managementListenAddress": f"{layout.cloud_ip}:{_MANAGEMENT_PORT}",
        "certificate": str(certificate),
        "privateKey": str(key),
        # The ports at which it validates a name: the node's.
        "httpPort": 80,
        "tlsPort": 443,
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "90 days", "validityPeriod": 7776000}},
    }
    path.write_text(json.dumps({"pebble": config}))
    return [
        Process(
            "acme",
            [str(layout.tools / "pebble"), "-config", str(path)],
            # By default it waits up to 15 s before each validation, to find clients that cannot.
            {"PEBBLE_VA_NOSLEEP": "1"},
            stop=STOP,
        )
    ]
