"""Find what is wrong with a registry that runs: one line each, with the command that fixes it.

Run it where the program is, with the stack selected:

    python3 -m scripts.client.doctor

It changes nothing, and exits with 1 if it finds something. What was changed behind Pulumi's back is
told by `pulumi refresh --preview-only`. Plain Python 3.9 with nothing installed; it needs `pulumi`.
A private CA is taken from the variable SSL_CERT_FILE.
"""

from __future__ import annotations

import argparse
import itertools
import json
import ssl
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from scripts.client.certificate import ask_cluster, certificate, renewal
from scripts.client.pullable import lost_images
from scripts.client.why_missing import why_missing
from scripts.maintenance import backup_record
from scripts.shared.objects import StorageError
from scripts.shared.registry_client import (
    Registry,
    RegistryError,
    add_certificate,
    basic,
    ssl_context,
)
from scripts.shared.storage_arguments import objects_at

_FIX = "; fix: "
"""What is between the two parts of a finding, and of a warning of the program's."""


class DoctorError(Exception):
    """Nothing can be said; says why."""


class Finding(NamedTuple):
    """Something that is wrong."""

    what: str
    fix: str


def warned() -> Iterator[Finding]:
    """Yield what is in the registry's way, as the program's own checks say it in a preview."""
    result = subprocess.run(
        ["pulumi", "preview", "--json", "--non-interactive"],
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        diagnostics = json.loads(result.stdout).get("diagnostics") or []
    except ValueError:
        diagnostics = []
    for diagnostic in diagnostics:
        what, separator, fix = diagnostic["message"].strip().partition(_FIX)
        if separator and diagnostic.get("severity") == "warning":
            yield Finding(what.removeprefix("warning: "), fix)


def service(
    outputs: Mapping[str, Any], settings: Mapping[str, str], tls: ssl.SSLContext
) -> Iterator[Finding]:
    """Yield what clients would meet; `settings` are those of the section ``tls``."""
    hostname, namespace = outputs["registry"], outputs["namespace"]
    kubectl = f"kubectl --namespace {namespace}"

    def missing(problem: str) -> Finding:
        mode = settings.get("mode", "secret")
        reason = why_missing(mode, hostname, namespace, ask_cluster)
        return Finding(f"{problem}: {reason}" if reason else problem, renewal(kubectl, settings))

    try:
        for problem in certificate(hostname, tls):
            yield missing(problem)
        login = basic(outputs["username"], outputs["password"])
        registry = Registry(f"https://{hostname}", login, tls)
        yield from unreachable(registry, outputs.get("pull_caches", []), kubectl)
        for image, problem in lost_images(registry):
            # A registry that remembers a blob does not let it be pushed again.
            fix = f"{kubectl} delete pods --selector {_PODS}, and push {image} again, or delete it"
            yield Finding(f"{image} {problem}", fix)
    except (OSError, RegistryError) as error:
        fix = f"{kubectl} describe pods,ingresses says why"
        if settings.get("clientCa"):
            fix += "; clients need a certificate here: --cert and --key"
        yield Finding(f"https://{hostname} cannot be used: {error}", fix)


def copied(connection: Mapping[str, str], namespace: str) -> Iterator[Finding]:
    """Yield that the last good copy of the storage is too old, or that there is none."""
    kubectl = f"kubectl --namespace {namespace}"
    try:
        with objects_at(connection) as objects:
            record = backup_record.load(objects)
            if not record:
                run = f'{kubectl} create job --from=cronjob/backup "backup-$(date +%s)"'
                yield Finding(f"the storage has {backup_record.NONE_YET}", run)
            elif objects.now - record.time > record.within:
                logs = f"{kubectl} logs --selector {_COPIES} --tail=-1 says why"
                yield Finding(record.words(objects.now), logs)
    except (OSError, StorageError) as error:
        yield Finding(f"the age of the last good copy is not known: {error}", "try again")


def unreachable(registry: Registry, caches: Iterable[str], kubectl: str) -> Iterator[Finding]:
    """Yield the caches that cannot ask their registries for what they do not have.

    No registry has the manifest that they are asked for, and one that hides which repositories it
    has says the same.
    """
    for cache in caches:
        try:
            path = f"v2/{cache}/doctor/doctor/manifests/sha256:{'0' * 64}"
            registry.call("GET", path, [404])
        except RegistryError as error:
            logs = f"{kubectl} logs deployment/{cache.replace('/', '-')} says why"
            yield Finding(f"{cache}/ cannot fetch what it does not have: {error}", logs)


_PODS, _COPIES = (f"app.kubernetes.io/component={x}" for x in ("registry", "backup"))


def stack_outputs() -> dict[str, Any]:
    """Return the outputs of the selected stack.

    Raises:
        DoctorError: There are none.
    """
    outputs = _pulumi("stack", "output", "--show-secrets")
    if not {"registry", "namespace", "username", "password"} <= outputs.keys():
        raise DoctorError("the stack has no registry; to create it: pulumi up")
    return outputs


def section(name: str) -> dict[str, str]:
    """Return a section of the selected stack's settings.

    Raises:
        DoctorError: The settings cannot be read.
    """
    try:
        found: dict[str, str] = _pulumi("config", "get", name).get("objectValue", {})
    except DoctorError as error:
        if "not found" not in str(error):
            raise
        return {}
    return found


def _pulumi(*command: str) -> dict[str, Any]:
    result = subprocess.run(
        ["pulumi", *command, "--json", "--non-interactive"],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise DoctorError(result.stderr.strip())
    try:
        values: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        raise DoctorError(f"pulumi {command[0]} does not print JSON") from None
    return values


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(
        description="Find what is wrong with a registry, and the commands that fix it.",
        epilog="Changes nothing. Exits with 1 if something was found.",
    )
    add_certificate(parser)
    args = parser.parse_args()
    try:
        tls = ssl_context(args)
        outputs, settings = stack_outputs(), section("tls")
        findings = 0
        checks = [warned(), service(outputs, settings, tls)]
        if section("backup"):
            checks.append(copied(outputs["storage_connection"], outputs["namespace"]))
        for finding in itertools.chain(*checks):
            findings += 1
            print(f"{finding.what}{_FIX}{finding.fix}", flush=True)
    except (DoctorError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not findings:
        print(f"{outputs['registry']}: the certificate is valid, and all images can be pulled")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
