"""The real Pulumi engine, in an environment of the sandbox's own.

Home, plugins, backend and passphrase are in the sandbox's state folder. Of the checkout only the
program is used, and beside it the stack's configuration file, which is not committed.
"""

from __future__ import annotations

import json
import os
import secrets
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from sandbox.build import images
from sandbox.cloud import spaces
from sandbox.engine import plugin_install
from sandbox.files import write_private
from sandbox.layout import Layout
from sandbox.progress import say

PROJECT = "k3s-registry"

_INTERRUPTED_WITHIN = 10.0
"""Seconds for an engine to end after SIGINT: it waits for what its providers are doing."""

_CALLERS_OWN = (
    "PULUMI_CONFIG_PASSPHRASE",
    "DIGITALOCEAN_TOKEN",
    "DIGITALOCEAN_ACCESS_TOKEN",
    "SPACES_ACCESS_KEY_ID",
    "SPACES_SECRET_ACCESS_KEY",
)
"""Variables of the caller's account and stacks. Engine and program would prefer them to the
sandbox's: PULUMI_CONFIG_PASSPHRASE, for one, takes precedence over the passphrase file
(pulumi/pkg/secrets/passphrase/manager.go, ``readPassphrase``)."""


class EngineError(Exception):
    """Pulumi failed; it has already printed why."""


def environment(layout: Layout) -> dict[str, str]:
    """Return the caller's environment, changed so that plain ``pulumi`` uses the sandbox."""
    kept = {name: value for name, value in os.environ.items() if name not in _CALLERS_OWN}
    return kept | _variables(layout)


def shell_commands(layout: Layout) -> str:
    """Return commands for a POSIX shell that change its environment likewise."""
    exports = [f"export {name}={shlex.quote(x)}" for name, x in _variables(layout).items()]
    return "\n".join([f"unset {' '.join(_CALLERS_OWN)}", *exports])


def _variables(layout: Layout) -> dict[str, str]:
    home = _home(layout)
    path = [str(layout.tools), str(layout.root / "venv" / "bin"), os.environ["PATH"]]
    return {
        "PATH": os.pathsep.join(path),
        "PULUMI_HOME": str(home),
        "PULUMI_BACKEND_URL": f"file://{home}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(home / "passphrase"),
        "PULUMI_STACK": layout.name,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "DIGITALOCEAN_API_URL": layout.api_endpoint,
        "SPACES_ENDPOINT_URL": layout.spaces_endpoint,
        "KUBECONFIG": str(layout.kubeconfig),
        "SSL_CERT_FILE": str(layout.pki / "bundle.crt"),
        "REGISTRY": layout.hostname,
        # Clients keep and find their logins here, apart from the user's own. podman and skopeo
        # read the first variable. crane and docker read the second, and crane goes by the first
        # only where there is no Docker configuration, be it in ~/.docker:
        # https://github.com/google/go-containerregistry/blob/main/pkg/authn/keychain.go
        "REGISTRY_AUTH_FILE": str(_logins(layout)),
        "DOCKER_CONFIG": str(_logins(layout).parent),
    }


def stack_file(layout: Layout) -> Path:
    """Return the path of the stack's configuration."""
    return layout.root / f"Pulumi.{layout.name}.yaml"


def prepare(layout: Layout) -> None:
    """Install the plugins and create the stack; what exists stays as it is.

    Args:
        layout: The sandbox, with its tools built.
    """
    home = _home(layout)
    version = metadata.version("pulumi-kubernetes")
    folder = home / "plugins" / f"resource-kubernetes-v{version}"
    folder.mkdir(parents=True, exist_ok=True)
    plugin = folder / "pulumi-resource-kubernetes"
    if not plugin.is_symlink():
        plugin.symlink_to(layout.tools / "kubernetes-provider")
    plugin_install.install(home, layout.tools, layout.root / "venv" / "bin" / "python")
    passphrase = home / "passphrase"
    if not passphrase.exists():
        write_private(passphrase, secrets.token_urlsafe(32))
    if not _logins(layout).exists():
        # For podman a file that does not exist is an error.
        write_private(_logins(layout), "{}")
    if not _stack_state(layout).exists():
        stack_file(layout).unlink(missing_ok=True)
        _quietly(layout, ["stack", "init", layout.name])
        _configure(layout)


def _home(layout: Layout) -> Path:
    return layout.state / "pulumi"


def _backend(layout: Layout) -> Path:
    """Return where the engine keeps stacks, locks and history: below the backend's URL."""
    return _home(layout) / ".pulumi"


def _logins(layout: Layout) -> Path:
    return layout.state / "docker" / "config.json"


def _stack_state(layout: Layout) -> Path:
    return _backend(layout) / "stacks" / PROJECT / f"{layout.name}.json"


def _configure(layout: Layout) -> None:
    """Set what differs here from a cloud, and nothing else."""
    values = {
        "hostname": layout.hostname,
        "registry.image": images.REGISTRY,
        "registry.proxyImage": images.CADDY,
        "scripts.image": images.PYTHON,
    }
    pairs = [
        argument for key, value in values.items() for argument in ("--plaintext", f"{key}={value}")
    ]
    _quietly(layout, ["config", "set-all", "--path", *pairs])
    token = spaces.secrets(layout).token
    _quietly(layout, ["config", "set", "--secret", "digitalocean:token"], token)


def _quietly(layout: Layout, args: Sequence[str], stdin: str = "") -> None:
    """Run pulumi; show its output only if it fails."""
    result = run(layout, args, stdin=stdin, capture=True)
    if result.returncode:
        raise EngineError(f"pulumi {args[0]} {args[1]}: {result.stderr.strip()}")


def run(
    layout: Layout, args: Sequence[str], *, stdin: str = "", capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run pulumi on the sandbox's stack, and return its result.

    Args:
        layout: The sandbox.
        args: What follows ``pulumi``.
        stdin: Its standard input.
        capture: Keep its output instead of showing it.
    """
    return subprocess.run(
        [layout.tools / "pulumi", *args],
        cwd=layout.root,
        env=environment(layout),
        input=stdin,
        capture_output=capture,
        text=True,
        check=False,
    )


def up(layout: Layout) -> None:
    """Update the stack; recover from an interrupted update first.

    Args:
        layout: The sandbox, running and prepared.

    Raises:
        EngineError: Pulumi failed.
    """
    if _interrupted(layout):
        say("an earlier update was interrupted: releasing its lock and refreshing the state")
        _quietly(layout, ["cancel", "--yes"])
        refresh = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates"]
        if run(layout, refresh).returncode:
            raise EngineError("pulumi refresh failed")
    if run(layout, ["up", "--yes", "--skip-preview", "--suppress-outputs"]).returncode:
        raise EngineError("pulumi up failed")


def outputs(layout: Layout) -> dict[str, Any]:
    """Return the stack's outputs by name, with secrets in plaintext.

    Args:
        layout: The sandbox.

    Raises:
        EngineError: The stack cannot be read.
    """
    result = run(layout, ["stack", "output", "--json", "--show-secrets"], capture=True)
    if result.returncode:
        raise EngineError(result.stderr.strip())
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def _interrupted(layout: Layout) -> bool:
    """Return whether an update of the sandbox's stack ended without releasing its lock."""
    # Each stack has a folder of locks: other stacks in this backend are none of our business.
    # https://github.com/pulumi/pulumi/blob/master/pkg/backend/diy/lock.go
    locks = _backend(layout) / "locks" / "organization" / PROJECT / layout.name
    return any(not _is_pulumi(_read(lock).get("pid")) for lock in locks.glob("*.json"))


def _is_pulumi(pid: int | None) -> bool:
    """Return whether a process runs pulumi; after a reboot its ID may be another program's."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/exe").readlink().name.startswith("pulumi")
    return False


def _read(path: Path) -> dict[str, Any]:
    """Return a file of the engine's; nothing if the engine was killed while it wrote the file."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except ValueError:
        return {}
    return content


def never_succeeded(layout: Layout) -> bool:
    """Return whether the first update was interrupted, so that the sandbox holds nothing of value.

    An update whose result cannot be read counts as a success: there may be images.
    """
    history = (_backend(layout) / "history").rglob("*.history.json")
    return _interrupted(layout) and all(_read(x).get("result") == "failed" for x in history)


def kill(layout: Layout) -> None:
    """End what runs of the sandbox's engine.

    An engine that runs, such as that of a `pulumi up` in a user's shell, first gets SIGINT and some
    seconds to save its state. The provider of one that was killed would take minutes to notice.

    Args:
        layout: The sandbox.
    """
    limit = time.monotonic() + _INTERRUPTED_WITHIN
    _signal(_running(layout, "pulumi"), signal.SIGINT)
    while _running(layout, "pulumi") and time.monotonic() < limit:
        time.sleep(0.1)
    _signal(_running(layout, "pulumi", "kubernetes-provider"), signal.SIGKILL)


def _running(layout: Layout, *names: str) -> list[int]:
    """Return the process IDs of the sandbox's own programs of these names."""
    mine = f"PULUMI_HOME={_home(layout)}".encode()
    programs = {(layout.tools / name).resolve() for name in names}
    pids = []
    for process in Path("/proc").glob("[0-9]*"):
        # Processes come and go meanwhile, and some cannot be read.
        with suppress(OSError):
            if (process / "exe").readlink() in programs and mine in (
                process / "environ"
            ).read_bytes().split(b"\0"):
                pids.append(int(process.name))
    return pids


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
