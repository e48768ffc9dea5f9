"""The real Pulumi engine, in an environment of the sandbox's own.

Home, plugins, backend and passphrase are in the sandbox's state folder; of the checkout only the
program is used, and the stack's configuration file beside it, which is not committed.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from sandbox.build import images
from sandbox.cloud import spaces
from sandbox.engine import plugins
from sandbox.files import write_private
from sandbox.layout import Layout
from sandbox.progress import say

PROJECT = "k3s-registry"


class EngineError(Exception):
    """Pulumi did not succeed; it has already said why."""


def environment(layout: Layout) -> dict[str, str]:
    """Answer what a shell needs, on top of what it has, to use the sandbox with plain `pulumi`.

    Args:
        layout: The sandbox.
    """
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
        # podman, skopeo and crane keep and find their logins here, apart from the user's own.
        "REGISTRY_AUTH_FILE": str(_logins(layout)),
    }


def stack_file(layout: Layout) -> Path:
    """Answer where the stack's configuration is."""
    return layout.root / f"Pulumi.{layout.name}.yaml"


def prepare(layout: Layout) -> None:
    """Install the plugins and make the stack; what is already there stays as it is.

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
    plugins.install(home, layout.tools, layout.root / "venv" / "bin" / "python")
    passphrase = home / "passphrase"
    if not passphrase.exists():
        write_private(passphrase, secrets.token_urlsafe(32))
    if not _logins(layout).exists():
        # podman takes a file that is not there for an error.
        write_private(_logins(layout), "{}")
    if not _stack_state(layout).exists():
        stack_file(layout).unlink(missing_ok=True)
        _quietly(layout, ["stack", "init", layout.name])
        _configure(layout)


def _home(layout: Layout) -> Path:
    return layout.state / "pulumi"


def _backend(layout: Layout) -> Path:
    """Answer where the engine keeps stacks, locks and history: below the backend's address."""
    return _home(layout) / ".pulumi"


def _logins(layout: Layout) -> Path:
    return layout.state / "auth.json"


def _stack_state(layout: Layout) -> Path:
    return _backend(layout) / "stacks" / PROJECT / f"{layout.name}.json"


def _configure(layout: Layout) -> None:
    """Tell the program what differs here from a cloud, and nothing else."""
    values = {
        "hostname": layout.hostname,
        "registry.image": images.REGISTRY,
        "proof.image": images.PYTHON,
    }
    pairs = [
        argument for key, value in values.items() for argument in ("--plaintext", f"{key}={value}")
    ]
    _quietly(layout, ["config", "set-all", "--path", *pairs])
    _quietly(
        layout, ["config", "set", "--secret", "digitalocean:token"], spaces.secrets(layout).token
    )


def _quietly(layout: Layout, arguments: Sequence[str], given: str = "") -> None:
    """Run pulumi; show what it says only if it fails."""
    done = run(layout, arguments, given=given, capture=True)
    if done.returncode:
        raise EngineError(f"pulumi {arguments[0]} {arguments[1]}: {done.stderr.strip()}")


def run(
    layout: Layout, arguments: Sequence[str], *, given: str = "", capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run pulumi on the sandbox's stack, and answer how it ended.

    Args:
        layout: The sandbox.
        arguments: What follows ``pulumi``.
        given: What it reads from its standard input.
        capture: Keep what it says instead of showing it.
    """
    return subprocess.run(
        [layout.tools / "pulumi", *arguments],
        cwd=layout.root,
        env=os.environ | environment(layout),
        input=given,
        capture_output=capture,
        text=True,
        check=False,
    )


def up(layout: Layout) -> None:
    """Bring the stack to what program and configuration say.

    Args:
        layout: The sandbox, running and prepared.

    Raises:
        EngineError: If it did not get there.
    """
    if _interrupted(layout):
        say("an earlier update was interrupted: releasing its lock, looking at what is there")
        _quietly(layout, ["cancel", "--yes"])
        refresh = ["refresh", "--yes", "--skip-preview", "--clear-pending-creates"]
        if run(layout, refresh).returncode:
            raise EngineError("pulumi refresh failed")
    if run(layout, ["up", "--yes", "--skip-preview", "--suppress-outputs"]).returncode:
        raise EngineError("pulumi up failed")


def outputs(layout: Layout) -> dict[str, Any]:
    """Answer the stack's outputs by name, in clear.

    Args:
        layout: The sandbox.

    Raises:
        EngineError: If the stack cannot be read.
    """
    done = run(layout, ["stack", "output", "--json", "--show-secrets"], capture=True)
    if done.returncode:
        raise EngineError(done.stderr.strip())
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _interrupted(layout: Layout) -> bool:
    """Tell whether an update ended without releasing its lock."""
    locks = (_backend(layout) / "locks").rglob("*.json")
    return any(not Path(f"/proc/{json.loads(lock.read_text())['pid']}").exists() for lock in locks)


def never_succeeded(layout: Layout) -> bool:
    """Tell whether the first update was interrupted, so that nothing in the sandbox is of worth.

    Args:
        layout: The sandbox.
    """
    history = (_backend(layout) / "history").rglob("*.history.json")
    return _interrupted(layout) and not any(
        json.loads(update.read_text())["result"] == "succeeded" for update in history
    )


def end(layout: Layout) -> None:
    """End what is left of an engine that was killed: it takes its provider minutes to notice.

    Args:
        layout: The sandbox.
    """
    mine = f"PULUMI_HOME={_home(layout)}".encode()
    programs = {layout.tools / "pulumi", layout.tools / "kubernetes-provider"}
    for process in Path("/proc").glob("[0-9]*"):
        # Processes come and go while we look, and some are nobody's business.
        with suppress(OSError):
            if (process / "exe").readlink() in programs and mine in (
                process / "environ"
            ).read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
