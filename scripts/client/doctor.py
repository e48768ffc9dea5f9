"""Find what has changed behind Pulumi's back: one line each, with the command that fixes it.

Run it where the program is, with the stack selected:

    python3 -m scripts.client.doctor

It changes nothing, and exits with 1 if it finds something. Plain Python 3.9 with nothing installed;
it needs `pulumi`. A private CA is taken from the variable SSL_CERT_FILE.
"""

from __future__ import annotations

import argparse
import itertools
import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.client.pullable import lost_images
from scripts.shared.registry_client import (
    Registry,
    RegistryError,
    add_certificate,
    basic,
    ssl_context,
)

CERTIFICATE_DAYS = 14
"""Certificates are renewed at two thirds of their lifetime, thus 30 days before a usual one of 90
expires: https://letsencrypt.org/docs/integration-guide/#when-to-renew. This is half of that."""

CONNECT_SECONDS = 10
"""How long a TLS handshake may take."""

BOOTSTRAP_KEY = "bootstrap-key"
"""The key with which the refresh itself reads the Space."""

REFRESH = "pulumi up --refresh"


class DoctorError(Exception):
    """Nothing can be said; says why."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as Pulumi left it.

    Attributes:
        what: What it is.
        fix: The command that fixes it.
    """

    what: str
    fix: str


def refresh(*options: str) -> tuple[dict[str, Any], str]:
    """Return the preview of a refresh, and the error with which it ended, if it did.

    Args:
        options: More options of ``pulumi refresh``.
    """
    command = ["pulumi", "refresh", "--preview-only", "--json", "--non-interactive", *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        digest: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        digest = {}
    errors = [x["message"] for x in digest.get("diagnostics") or [] if x.get("severity") == "error"]
    error = " ".join([*errors, result.stderr]).strip()
    return digest, error if result.returncode else ""


def changed(steps: Iterable[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield what a refresh would take over into the state.

    Args:
        steps: The steps of its preview.
    """
    for step in steps:
        kind, name = step["urn"].split("$")[-1].split("::")[-2:]
        what = f"{kind.split(':')[-1]} {_object(step) or name}"
        if step["op"] == "delete":
            yield Finding(f"{what} is gone{_CONSEQUENCE.get(kind, '')}", _fix(kind, name))
        elif step["op"] == "update":
            paths = ", ".join(sorted(step.get("detailedDiff") or {}))
            yield Finding(f"{what} was changed: {paths}", REFRESH)


_CONSEQUENCE = {
    "digitalocean:index/spacesBucket:SpacesBucket": ", and all images with it; its name stays taken"
}


def _fix(kind: str, name: str) -> str:
    if name == BOOTSTRAP_KEY:
        return f"pulumi refresh --target '**::{BOOTSTRAP_KEY}' && pulumi up"
    if kind in _CONSEQUENCE:
        return f"pulumi refresh && pulumi up --replace '**::{name.removesuffix('-bucket')}-suffix'"
    return REFRESH


def _object(step: Mapping[str, Any]) -> str:
    """Return namespace and name of a Kubernetes object."""
    metadata = (step.get("oldState") or {}).get("inputs", {}).get("metadata") or {}
    return "/".join(metadata[x] for x in ("namespace", "name") if x in metadata)


def drift() -> list[Finding]:
    """Return what cloud and cluster have otherwise than the state.

    Raises:
        DoctorError: They cannot be compared.
    """
    digest, error = refresh()
    if error:
        # Without this key, the refresh fails at the Space.
        digest, other = refresh("--target", f"**::{BOOTSTRAP_KEY}")
        findings = [] if other else list(changed(digest["steps"]))
        if not findings:
            raise DoctorError(error)
        return findings
    return list(changed(digest["steps"]))


def certificate(hostname: str, tls: ssl.SSLContext, port: int = 443) -> Iterator[str]:
    """Yield what is wrong with the certificate that clients get.

    Args:
        hostname: The registry's hostname.
        tls: Whom to trust, and the client's own certificate.
        port: The port of its ingress.

    Raises:
        OSError: No connection can be made.
    """
    try:
        with (
            socket.create_connection((hostname, port), CONNECT_SECONDS) as connection,
            tls.wrap_socket(connection, server_hostname=hostname) as stream,
        ):
            until = ssl.cert_time_to_seconds(str((stream.getpeercert() or {})["notAfter"]))
    except ssl.SSLCertVerificationError as error:
        yield f"the certificate of {hostname} is refused: {error.verify_message}"
        return
    days = (until - time.time()) / 86400
    if days < CERTIFICATE_DAYS:
        yield f"the certificate of {hostname} expires in {days:.0f} days"


def service(
    outputs: Mapping[str, Any], settings: Mapping[str, str], tls: ssl.SSLContext
) -> Iterator[Finding]:
    """Yield what clients of the registry would meet.

    Args:
        outputs: The outputs of the stack, with secrets.
        settings: The section ``tls`` of its settings.
        tls: Whom to trust, and the client's own certificate.
    """
    hostname = outputs["registry"]
    kubectl = f"kubectl --namespace {outputs['namespace']}"
    try:
        for problem in certificate(hostname, tls):
            yield Finding(problem, renewal(kubectl, settings))
        login = basic(outputs["username"], outputs["password"])
        for image, problem in lost_images(Registry(f"https://{hostname}", login, tls)):
            # A registry that remembers a blob does not let it be pushed again.
            fix = f"{kubectl} delete pods --selector {_PODS}, and push {image} again"
            yield Finding(f"{image} cannot be pulled: {problem}", fix)
    except (OSError, RegistryError) as error:
        fix = f"{kubectl} describe pods,ingresses says why"
        yield Finding(f"https://{hostname} cannot be used: {error}", fix)


def renewal(kubectl: str, settings: Mapping[str, str]) -> str:
    """Return what renews the certificate, or tells why it was not renewed.

    Args:
        kubectl: The command, with the registry's namespace.
        settings: The section ``tls`` of the stack's settings.
    """
    secret = settings.get("secretName", "registry-tls")
    return {
        "secret": f"{kubectl} create secret tls {secret} --cert fullchain.pem --key privkey.pem "
        "--dry-run=client --output yaml | kubectl apply --filename -",
        "letsEncrypt": f"{kubectl} logs deployment/acme-client says why",
        "acme": "the log of Traefik says why",
        "certManager": f"{kubectl} describe certificate {secret} says why",
        "none": "renew it where TLS is terminated",
    }[settings.get("mode", "secret")]


_PODS = "app.kubernetes.io/component=registry"


def stack_outputs() -> dict[str, Any]:
    """Return the outputs of the selected stack.

    Raises:
        DoctorError: There are none.
    """
    outputs = _pulumi("stack", "output", "--show-secrets")
    if "registry" not in outputs:
        raise DoctorError("the stack has no registry; to create it: pulumi up")
    return outputs


def tls_settings() -> dict[str, str]:
    """Return the section ``tls`` of the selected stack's settings.

    Raises:
        DoctorError: The settings cannot be read.
    """
    config = _pulumi("config")
    values = [x.get("objectValue", {}) for key, x in config.items() if key.endswith(":tls")]
    return dict(*values)


def _pulumi(*command: str) -> dict[str, Any]:
    result = subprocess.run(
        ["pulumi", *command, "--json", "--non-interactive"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise DoctorError(result.stderr.strip())
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Find what has changed behind Pulumi's back, and the commands that fix it.",
        epilog="Changes nothing. Exits with 1 if something was found.",
    )
    add_certificate(parser)
    args = parser.parse_args()
    try:
        tls = ssl_context(args)
        outputs, settings = stack_outputs(), tls_settings()
        findings = 0
        for finding in itertools.chain(drift(), service(outputs, settings, tls)):
            findings += 1
            print(f"{finding.what}; fix: {finding.fix}", flush=True)
    except (DoctorError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not findings:
        print(f"{outputs['registry']}: nothing has changed, and all images can be pulled")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
