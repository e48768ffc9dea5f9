"""What a run needs, costs and creates, before it creates anything."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from live.cloud import Cloud
from live.journal import Journal
from live.names import PREFIX

LIMIT_SECONDS = 45 * 60
"""After which a run ends itself; it should take less than half of that."""


class UsageError(Exception):
    """The command cannot begin; says what is missing."""


def preflight(args: argparse.Namespace, cloud: Cloud, home: Path) -> str | None:
    """Check what a run needs, and ask; return the user's kubeconfig, if it is to be used.

    Raises:
        UsageError: Something is missing, or the user does not consent.
    """
    needed = ["pulumi", "kubectl", "podman", "tar"]
    needed += [] if args.kubeconfig else ["ssh", "ssh-keygen"]
    if missing := [name for name in needed if not shutil.which(name)]:
        raise UsageError(f"not found: {', '.join(missing)}; install them, and try again")
    if left := Journal.all(home):
        names = ", ".join(journal.run.name for journal in left)
        raise UsageError(f"{names} is going on, or has left something; fix: make live-clean")
    sizes = {x["slug"]: x for x in cloud.sizes()}
    size = sizes.get(args.size)
    if not args.kubeconfig and not (size and size["available"] and args.region in size["regions"]):
        raise UsageError(f"--size {args.size}: DigitalOcean has no such droplet in {args.region}")
    price = 0.0 if args.kubeconfig or not size else size["price_hourly"]
    print(consent(args.region, None if args.kubeconfig else args.size, price))
    if not args.yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody to ask: --yes, or make live YES=1")
        if input("Create these, and delete them again? Type yes: ").strip() != "yes":
            raise UsageError("nothing was created")
    return _kubeconfig(args.kubeconfig) if args.kubeconfig else None


def consent(region: str, size: str | None, hourly: float) -> str:
    """Return what a run creates, and what it costs: dollars by the hour."""
    droplet_line = (
        f"- a droplet ({size}), {hourly:.4f} USD an hour; an SSH key and a tag\n"
        if size
        else "- a namespace and what is in it, in the cluster of that kubeconfig\n"
    )
    most = hourly * (LIMIT_SECONDS // 3600 + 1)
    return (
        f"This creates in your DigitalOcean account, in {region}, and deletes again:\n"
        f"{droplet_line}"
        "- a Space and three Spaces keys, one or two at a time with full access to all Spaces\n"
        f"It takes about 20 minutes, at most {LIMIT_SECONDS // 60}, and costs {most:.2f} USD at "
        "most, and 5 USD for\na month of Spaces, if the account has no Space yet: the subscription "
        "starts with the first one.\nAll names begin with, or contain, "
        f"{PREFIX}<10 digits>; nothing else is changed."
    )


def _kubeconfig(path: Path) -> str:
    view = ("kubectl", "config", "view", "--raw", "--minify", "--flatten", f"--kubeconfig={path}")
    result = subprocess.run(view, capture_output=True, text=True, check=False)
    if result.returncode:
        raise UsageError(f"--kubeconfig {path}: {result.stderr.strip()}")
    return result.stdout
