"""Find what has changed behind Pulumi's back: one line each, with the command that fixes it.

Run it where the program is, with the stack selected:

    python3 -m scripts.doctor

It changes nothing, and exits with 1 if it finds something. Plain Python 3.9 with nothing installed;
it needs `pulumi`. A private CA is taken from the variable SSL_CERT_FILE.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scripts.smoke_test import Registry, SmokeTestError, basic

CERTIFICATE_DAYS = 14
"""Certificates are renewed at two thirds of their lifetime, thus 30 days before a usual one of 90
expires: https://letsencrypt.org/docs/integration-guide/#when-to-renew. This is half of that."""

CONNECT_SECONDS = 10
"""How long a TLS handshake may take."""

LIST_SIZE = 1000
"""Names in a page of a list; the registry's own limit of repositories:
https://distribution.github.io/distribution/about/configuration/#catalog"""

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


def certificate(hostname: str, port: int = 443) -> Iterator[str]:
    """Yield what is wrong with the certificate that clients get.

    Args:
        hostname: The registry's hostname.
        port: The port of its ingress.

    Raises:
        OSError: No connection can be made.
    """
    tls = ssl.create_default_context()
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


def listed(registry: Registry, path: str, key: str) -> Iterator[str]:
    """Yield all names of a list that comes in pages.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags

    Args:
        registry: The registry.
        path: The list's path.
        key: The key of the names in each page.
    """
    page = f"{path}?n={LIST_SIZE}"
    while page:
        response = registry.call("GET", page, [200, 404])
        yield from json.loads(response.body).get(key) or []
        link = re.match(r"<([^>]+)>", response.headers.get("link", ""))
        page = link[1] if link else ""


def lost_images(registry: Registry) -> Iterator[tuple[str, str]]:
    """Yield the tags that cannot be pulled, and what is missing.

    Args:
        registry: The registry, with the login of who may pull everything.

    Raises:
        SmokeTestError: The images cannot be listed.
        OSError: Likewise.
    """
    for repository in listed(registry, "v2/_catalog", "repositories"):
        whole: set[str] = set()
        for tag in listed(registry, f"v2/{repository}/tags/list", "tags"):
            try:
                _pull(registry, f"v2/{repository}", "manifests", tag, whole)
            except SmokeTestError as error:
                yield f"{repository}:{tag}", str(error)


def _pull(registry: Registry, path: str, kind: str, reference: str, whole: set[str]) -> None:
    """Read a manifest with all that it names, or the first byte of a blob.

    A byte, since a HEAD request is answered from the registry's memory.

    Args:
        registry: The registry.
        path: The repository's path.
        kind: ``manifests`` or ``blobs``.
        reference: A tag or digest.
        whole: The digests that were read before; grows.

    Raises:
        SmokeTestError: Something is missing.
    """
    if reference in whole:
        return
    url = f"{path}/{kind}/{reference}"
    if kind == "blobs":
        # 416 of an S3 server says that the blob is there, and empty.
        registry.call("GET", url, [200, 206, 416], headers={"Range": "bytes=0-0"})
    else:
        manifest = json.loads(registry.call("GET", url, [200]).body)
        for inner in manifest.get("manifests", []):
            _pull(registry, path, "manifests", inner["digest"], whole)
        for blob in itertools.chain([manifest.get("config")], manifest.get("layers", [])):
            # Layers with URLs of their own are elsewhere.
            if blob and "urls" not in blob:
                _pull(registry, path, "blobs", blob["digest"], whole)
    whole.add(reference)


def service(outputs: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield what clients of the registry would meet.

    Args:
        outputs: The outputs of the stack, with secrets.
    """
    hostname, namespace = outputs["registry"], outputs["namespace"]
    kubectl = f"kubectl --namespace {namespace}"
    try:
        for problem in certificate(hostname):
            yield Finding(problem, f"{kubectl} {_RENEW}, or as docs/ingress.md says")
        login = basic(outputs["username"], outputs["password"])
        for image, problem in lost_images(Registry(f"https://{hostname}", login)):
            # A registry that remembers a blob does not let it be pushed again.
            fix = f"{kubectl} delete pods --selector {_PODS}, and push {image} again"
            yield Finding(f"{image} cannot be pulled: {problem}", fix)
    except (OSError, SmokeTestError) as error:
        fix = f"{kubectl} describe pods,ingresses says why"
        yield Finding(f"https://{hostname} cannot be used: {error}", fix)


_RENEW = (
    "create secret tls registry-tls --cert fullchain.pem --key privkey.pem "
    "--dry-run=client --output yaml | kubectl apply --filename -"
)

_PODS = "app.kubernetes.io/component=registry"


def stack_outputs() -> dict[str, Any]:
    """Return the outputs of the selected stack.

    Raises:
        DoctorError: There are none.
    """
    command = ["pulumi", "stack", "output", "--json", "--show-secrets", "--non-interactive"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise DoctorError(result.stderr.strip())
    outputs: dict[str, Any] = json.loads(result.stdout)
    if "registry" not in outputs:
        raise DoctorError("the stack has no registry; to create it: pulumi up")
    return outputs


def main() -> int:
    """Run from the command line, and return the exit status."""
    argparse.ArgumentParser(
        description="Find what has changed behind Pulumi's back, and the commands that fix it.",
        epilog="Changes nothing. Exits with 1 if something was found.",
    ).parse_args()
    try:
        outputs = stack_outputs()
        findings = 0
        for finding in itertools.chain(drift(), service(outputs)):
            findings += 1
            print(f"{finding.what}; fix: {finding.fix}", flush=True)
    except DoctorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not findings:
        print(f"{outputs['registry']}: nothing has changed, and all images can be pulled")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
