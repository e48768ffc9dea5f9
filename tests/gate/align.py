"""Raise the modules that Kubernetes and CoreDNS share to one version each.

Go compiles a package of one version once, for both: that is a minute of the first `make up`. k3s,
too, links its parts with newer modules than they were released with. All other tools keep what
they were released with: the registry and its proxy, which users run; containerd, which does not
compile with a newer API of its kind; the provider, whose client of Kubernetes is four minor
versions older; Pulumi and the rest, which share little.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.build.pinned_tools import SOURCES

SHARING = {
    "kubernetes": "k8s.io/kubernetes",
    "coredns": "github.com/coredns/coredns",
}
"""Folders in ``sandbox/build/tools``, and the module of each tool."""

_REQUIRED = re.compile(r"^(?:require)?\s+(\S+) (v\S+)(?: // indirect)?$", re.MULTILINE)

Versions = Mapping[str, str]
"""The version of each module that a go.mod requires."""


def required(text: str) -> dict[str, str]:
    """Return what a go.mod requires."""
    return dict(_REQUIRED.findall(re.sub(r"^replace \(.*?^\)", "", text, flags=re.M | re.S)))


def order(version: str) -> tuple[int, int, int, bool, str]:
    """Return a key that sorts versions: https://semver.org/#spec-item-11, as far as in use here."""
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)-?(.*)", version.removesuffix("+incompatible"))
    assert found, version
    major, minor, patch, rest = found.groups()
    return int(major), int(minor), int(patch), not rest, rest


def behind(tools: Mapping[str, Versions]) -> dict[str, list[str]]:
    """Return what to raise in each tool: ``module@version`` where another tool has a newer one."""
    newest: dict[str, str] = {}
    for versions in tools.values():
        for module, version in versions.items():
            newest[module] = max(newest.get(module, version), version, key=order)
    return {
        tool: raised
        for tool, versions in tools.items()
        if (
            raised := [
                f"{x}@{newest[x]}" for x, version in versions.items() if version != newest[x]
            ]
        )
    }


def too_far(released: Versions, built: Versions) -> Iterator[str]:
    """Yield the modules that a tool is built with a version of that may behave differently."""
    for module, version in released.items():
        old, new = order(version), order(built.get(module, version))
        if version == "v0.0.0":  # Kubernetes' own parts, which are released with it.
            continue
        if old[0] != new[0] or (module.startswith("k8s.io/") and new[1] - old[1] > 1):
            yield f"{module} {version} -> {built[module]}"


def read() -> dict[str, dict[str, str]]:
    """Return what the tools require."""
    return {tool: required((SOURCES / tool / "go.mod").read_text()) for tool in SHARING}


def _released(tool: str, module: str) -> Versions:
    version = read()[tool][module]
    run = _go(tool, "mod", "download", "-json", f"{module}@{version}")
    return required(Path(json.loads(run)["GoMod"]).read_text())


def _go(tool: str, *args: str) -> str:
    command = ["go", *args]
    run = subprocess.run(command, cwd=SOURCES / tool, stdout=subprocess.PIPE, text=True, check=True)
    return run.stdout


def main() -> None:
    """Raise them; the exit status is 1 if that goes too far for one of the tools."""
    while raised := behind(read()):
        for tool, modules in raised.items():
            _go(tool, "mod", "edit", *(f"-require={x}" for x in modules))
            _go(tool, "mod", "tidy")
    lines = [
        f"{tool}: {line}: too far from what it was released with\n"
        for tool, module in SHARING.items()
        for line in too_far(_released(tool, module), read()[tool])
    ]
    sys.stdout.write("".join(lines))
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
