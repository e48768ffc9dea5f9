"""Find pins that are more than a year old: default images, and what the sandbox is built from."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sandbox.build.pinned_tools import PYTHON_MODULE, SOURCES, TOOLS, pinned
from tests.gate.images import IMAGES
from tests.gate.workflows import ROOT
from tests.pinned_tools import ACTIONLINT, SANDBOX_TOOLS

DAYS = 365
"""Longer than an official image gets fixes for: https://github.com/docker-library/official-images"""


LINKED = (
    ("kubernetes", "go.etcd.io/etcd/server/v3"),
    ("kubernetes", "github.com/cloudnativelabs/kube-router/v2"),
    ("kubernetes-provider", "github.com/pulumi/pulumi-kubernetes/provider/v4"),
    ("python", PYTHON_MODULE),
    ("traefik", "github.com/traefik/traefik/v3"),
)
"""What else the sandbox runs: the folder whose go.mod pins it, and the module."""


def modules() -> set[str]:
    """Return the Go modules that the sandbox and its tests run, each with its version."""
    tools = (*TOOLS, *SANDBOX_TOOLS, ACTIONLINT)
    return {
        *(f"{tool.module} v{tool.version}" for tool in tools if tool.module),
        *(f"{module} v{pinned(SOURCES / folder, module)}" for folder, module in LINKED),
    }


def released(pins: Iterable[str]) -> Iterator[tuple[str, datetime.date]]:
    """Yield when each version of a module was released.

    Raises:
        subprocess.CalledProcessError: The module proxy does not tell.
    """
    names = [pin.replace(" ", "@") for pin in pins]
    command = ["go", "list", "-m", "-json", *names]
    # Outside of any module, whose versions it would tell instead.
    result = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, text=True, check=True)
    decoder, text = json.JSONDecoder(), result.stdout.strip()
    while text:
        module, end = decoder.raw_decode(text)
        yield f"{module['Path']} {module['Version']}", _date(module["Time"])
        text = text[end:].strip()


def _date(time: str) -> datetime.date:
    return datetime.datetime.fromisoformat(time).date()


def problems(
    dates: Mapping[str, datetime.date], kept: Mapping[str, str], today: datetime.date
) -> list[str]:
    """Return a line for each pin that is too old, and for each exception that is of no use.

    Args:
        dates: When each pin was released.
        kept: The pins that may be older, with the reason.
        today: The day.
    """
    old = {pin: date for pin, date in dates.items() if (today - date).days > DAYS}
    return [
        *(f"{pin} is of {date}: take a newer one" for pin, date in old.items() if pin not in kept),
        *(f"{pin} is no exception any more" for pin in kept if pin not in old),
    ]


def recorded() -> dict[str, Any]:
    """Return the recorded dates of images, and the exceptions."""
    return tomllib.loads((ROOT / "tests/gate/ages.toml").read_text())


def main() -> None:
    """Look at all pins; the exit status is 1 if one is too old."""
    known = recorded()
    dates = {image: known["images"][image] for image in IMAGES} | dict(released(modules()))
    lines = problems(dates, known["kept"], datetime.datetime.now(datetime.UTC).date())
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
