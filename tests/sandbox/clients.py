"""Clients for unusual requests: any method, any header, any upload rate."""

from __future__ import annotations

import base64
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from scripts.shared import registry_client
from tests.sandbox.helpers import ROOT, Sandbox

RATE_MBIT, SIZE_MIB = 0.1, 75 * 0.1 * 10**6 / 8 / 2**20
"""The rate and size of an upload that takes 75 s and few resources."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Make a redirect an error."""


def send(
    url: str,
    method: str = "GET",
    *,
    login: str = "",
    headers: Mapping[str, str] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    timeout: float = 10,
) -> tuple[int, Any]:
    """Send one request; return status and headers."""
    accepted = {"Accept": registry_client.MANIFEST, **(headers or {})}
    request = urllib.request.Request(url, method=method, headers=accepted)
    if login:
        token = base64.b64encode(login.encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    https = urllib.request.HTTPSHandler(context=ssl_context)
    try:
        opener = urllib.request.build_opener(_NoRedirect, https)
        with opener.open(request, timeout=timeout) as response:
            return response.status, response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


def slow_upload(sandbox: Sandbox) -> subprocess.Popen[str]:
    """Start to push a layer, which takes 75 s."""
    upload = subprocess.Popen(
        [
            *(sys.executable, "-m", "bench.slow_upload", f"https://{sandbox.registry}"),
            *("--username", "admin", "--password-file", "-", "--count", "1"),
            *("--size", str(SIZE_MIB), "--rate", str(RATE_MBIT)),
        ],
        cwd=ROOT,
        env=sandbox.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert upload.stdin
    upload.stdin.write(sandbox.password)
    upload.stdin.close()
    upload.stdin = None
    return upload
