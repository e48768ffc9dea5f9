"""Look for known vulnerabilities in all images that tags name.

It runs in the CronJob `scan`, as the user who may only pull. What it finds goes into a ConfigMap,
from which the auth proxy serves it as metrics, and to users on the page. A run that fails changes
nothing of that. It never writes to the registry.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.scan.findings import SEVERITIES, Image, metrics, report, summary
from scripts.scan.tagged import image_of, tagged
from scripts.scan.trivy import Login, Trivy, TrivyError
from scripts.shared import reports
from scripts.shared.api_server import ApiServerError
from scripts.shared.registry_client import Registry, RegistryError, basic


def known_images(published: object, digests: Mapping[str, object]) -> dict[str, Image]:
    """Return what earlier runs have found out about images that are still there."""
    known = published["images"] if isinstance(published, dict) else {}
    return {digest: dict(known.get(digest, {})) for digest in digests}


def scan_all(
    images: dict[str, Image],
    repositories: Mapping[str, set[str]],
    registry: Registry,
    trivy: Trivy,
    login: Login,
    deadline: float,
) -> int:
    """Scan images until the deadline, and return how many it has come to.

    What was tried longest ago comes first, so that one that fails again and again keeps no other
    from its turn. Of what is no image, nothing is kept.

    Args:
        images: What is known of each image; it is brought up to date.
        deadline: As :func:`time.monotonic` has it.
    """
    tried = 0
    address = registry.url.partition("://")[2]
    for digest in sorted(images, key=lambda x: (images[x].get("tried", 0), x)):
        if time.monotonic() >= deadline:
            break
        tried += 1
        repository, image = min(repositories[digest]), images[digest]
        image["tried"] = round(time.time())
        image.pop("failed", None)
        try:
            scanned = image_of(registry, repository, digest)
            if scanned is None:
                del images[digest]
                continue
            found = summary(trivy.scan(f"{address}/{repository}@{scanned}", login))
        except (RegistryError, TrivyError, ValueError) as error:
            image["failed"] = str(error)
            print(f"{repository}@{digest}: not scanned: {error}", flush=True)
        else:
            images[digest] = {"tried": image["tried"], "scanned": image["tried"], **found}
            print(f"{repository}@{digest}: {described(found)}", flush=True)
    return tried


def described(image: Image) -> str:
    """Return the findings of an image in words."""
    counts = [
        f"{found} {severity} ({fixable} with a fix)"
        for severity, (found, fixable) in zip(SEVERITIES, image["counts"])
        if found
    ]
    old = ["of a distribution that tells of none any more"] if image.get("old") else []
    return ", ".join([*(counts or ["nothing known"]), *old])


def run(args: argparse.Namespace) -> None:
    """Scan, and publish what is found.

    Raises:
        ApiServerError: What is known cannot be read or written.
        RegistryError: The registry does not tell what it has.
        TrivyError: There is no database, or no image could be scanned.
        OSError: A file cannot be read or written.
    """
    deadline = time.monotonic() + args.seconds
    login = Login(args.username, args.password_file.read_text())
    published = reports.read(args, reports.FINDINGS, ["*"])
    registry = Registry(args.registry, basic(*login))
    repositories = tagged(registry)
    images = known_images(published, repositories)
    trivy = Trivy(args.trivy, args.folder)
    made = trivy.download(args.database, login if args.own_database else None)
    tried = scan_all(images, repositories, registry, trivy, login, deadline)
    left = sum("tried" not in x for x in images.values())
    failed = [x for x in images.values() if "failed" in x]
    if images and tried and len(failed) == len(images):
        raise TrivyError(f"none of {len(images)} images could be scanned")
    now = time.time()
    times = {
        "registry_scan_timestamp_seconds": now,
        "registry_scan_database_timestamp_seconds": made,
    }
    known: Mapping[str, Any] = {"time": round(now), "database": round(made)}
    reports.write(
        args,
        reports.FINDINGS,
        lambda patterns, items: report(images, repositories, known, patterns, items),
        {reports.METRICS: metrics(images, repositories, times).encode()},
    )
    print(f"{len(images)} images: {len(failed)} failed, {left} not reached yet")


def main() -> int:
    """Run from the command line, and return the exit status."""
    parser = argparse.ArgumentParser(description="Look for known vulnerabilities in all images.")
    parser.add_argument("--registry", required=True, help="its URL inside the cluster")
    parser.add_argument("--username", required=True, help="who may pull everything")
    parser.add_argument("--password-file", type=Path, required=True, help="that user's password")
    parser.add_argument("--trivy", type=Path, required=True, help="the program")
    parser.add_argument("--folder", type=Path, required=True, help="for the database")
    parser.add_argument("--database", required=True, help="where it is")
    parser.add_argument("--own-database", action="store_true", help="that is in this registry")
    parser.add_argument("--seconds", type=float, required=True, help="how long it starts new scans")
    reports.add_arguments(parser)
    args = parser.parse_args()
    try:
        run(args)
    except (ApiServerError, RegistryError, TrivyError, OSError) as error:
        print(f"FAILED: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
