"""What k3s is told on a node: by its configuration files, and then by its unit's flags.

Of two values k3s takes the last one: https://github.com/k3s-io/k3s/blob/master/pkg/configfilearg/parser.go
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from scripts.nodes.node_files import on_node, read
from scripts.nodes.own_file import RefusedError

UNITS = ("k3s", "k3s-agent")
"""The unit of a server, and that of an agent: https://docs.k3s.io/installation/configuration"""

CONFIG = "/etc/rancher/k3s/config.yaml"

DATA = "/var/lib/rancher/k3s"

_WITH_VALUE = {
    *("config", "data-dir", "private-registry"),
    *("container-runtime-endpoint", "image-service-endpoint"),
}
"""The flags looked at here that take a value, maybe as the next word."""

_ALIASES = {"c": "config", "d": "data-dir"}


class Source(NamedTuple):
    """The options in one place, which is a file or the unit."""

    place: str
    options: dict[str, str]


class Told(NamedTuple):
    """What k3s is told.

    Attributes:
        unit: The unit that runs; empty if there is none, and nothing is known of flags.
        drop_ins: The folder of the files that k3s reads after its config.yaml.
        sources: Places with options; the later ones hold.
    """

    unit: str
    drop_ins: Path
    sources: list[Source]

    def option(self, name: str, default: str = "") -> Source:
        """Return the place of an option's value, and only that value."""
        for place, options in reversed(self.sources):
            if name in options:
                return Source(place, {name: options[name]})
        return Source("", {name: default})

    def path(self, name: str, default: str) -> Path:
        """Return an option's path, relative to the node's root.

        Raises:
            RefusedError: It is none.
        """
        place, options = self.option(name, default)
        return _relative(options[name], f"{place}: `{name}`")


def is_on(value: str) -> bool:
    """Return whether k3s takes a value for true (https://pkg.go.dev/strconv#ParseBool)."""
    return value in {"1", "t", "T", "true", "TRUE", "True"}


def running_unit(node: Path) -> str:
    """Return the unit of k3s that is active on the node; empty if none is, or without systemd."""
    try:
        for unit in UNITS:
            if on_node(node, "systemctl", "is-active", unit).returncode == 0:
                return unit
    except FileNotFoundError:
        pass
    return ""


def told(node: Path) -> Told:
    """Return what k3s is told on a node.

    Raises:
        RefusedError: Its configuration is nowhere on this node.
    """
    unit = running_unit(node)
    flags, environment = _unit(node, unit) if unit else ({}, {})
    # https://docs.k3s.io/cli/server#data: the environment of that name counts least.
    data = {"data-dir": environment.get("K3S_DATA_DIR") or DATA}
    # The environment holds before the flag, unlike anywhere else.
    config = _relative(
        environment.get("K3S_CONFIG_FILE") or flags.get("config") or CONFIG,
        f"the configuration of {unit}",
    )
    drop_ins = config.with_name(f"{config.name}.d")
    names = sorted(x.name for x in (node / drop_ins).glob("*") if _is_yaml(x))
    files = [config, *(drop_ins / x for x in names)]
    return Told(
        unit,
        drop_ins,
        [
            Source("", data),
            *(Source(f"/{path}", _file(node, path)) for path in files),
            Source(f"the unit {unit}", flags),
        ],
    )


def _relative(path: str, what: str) -> Path:
    if not path.startswith("/"):
        raise RefusedError(f"{what}: {path} is no absolute path on this node")
    return Path(path).relative_to("/")


def _is_yaml(path: Path) -> bool:
    return path.suffix.lower() in {".yaml", ".yml"}


def _file(node: Path, path: Path) -> dict[str, str]:
    """Return the options of a file; none if k3s would not start with it."""
    try:
        content = yaml.safe_load(read(node, path) or b"")
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {_name(str(key).rstrip("+")): _text(value) for key, value in content.items()}


def _text(value: Any) -> str:  # noqa: ANN401 - YAML
    if isinstance(value, list):
        return _text(value[-1]) if value else ""
    return "" if value is None else str(value)


def _name(flag: str) -> str:
    return _ALIASES.get(flag, flag)


def _unit(node: Path, unit: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the flags and the environment of a unit, drop-ins of systemd included."""
    show = ["systemctl", "show", "--property=ExecStart,Environment,EnvironmentFiles", unit]
    text = on_node(node, *show).stdout.decode(errors="replace")
    flags: dict[str, str] = {}
    for argv in re.findall(r"^ExecStart=\{ .*?argv\[\]=(.*?) ; ignore_errors=", text, re.MULTILINE):
        flags = _flags(argv.split())
    environment: dict[str, str] = {}
    for line in re.findall(r"^Environment=(.*)", text, re.MULTILINE):
        environment.update(_assignments(line))
    for path in re.findall(r"^EnvironmentFiles=/(.*) \(ignore_errors=", text, re.MULTILINE):
        for line in (read(node, Path(path)) or b"").decode(errors="replace").splitlines():
            environment.update(_assignments(line))
    return flags, environment


def _flags(argv: list[str]) -> dict[str, str]:
    flags = {}
    for word, following in zip(argv, [*argv[1:], ""]):
        name, given, value = word.lstrip("-").partition("=")
        if word.startswith("-"):
            name = _name(name)
            flags[name] = value if given else following if name in _WITH_VALUE else "true"
    return flags


def _assignments(line: str) -> dict[str, str]:
    """Return the variables of a line, as systemd and shells write them."""
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)
