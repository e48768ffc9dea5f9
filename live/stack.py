"""The stack of a run: its own backend, passphrase and home, so that nobody's stacks are touched."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from live.commands import ROOT, Commands
from live.journal import Journal
from sandbox.files import write_private

_UP_SECONDS = 900
"""`up` waits for 10 minutes at most for nodes and Jobs."""

_DESTROY_SECONDS = 900

_NOT_OURS = (
    *("PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_BACKEND_URL", "PULUMI_STACK"),
    *("SPACES_ACCESS_KEY_ID", "SPACES_SECRET_ACCESS_KEY", "KUBE_CONTEXT"),
)
"""Variables of the user's own stacks and Spaces."""


class Stack:
    """The stack of a run.

    Args:
        journal: The run's journal.
        commands: What runs commands.
    """

    def __init__(self, journal: Journal, commands: Commands) -> None:
        self._journal = journal
        self._commands = commands
        self.environment = environment(journal, os.environ)

    @property
    def exists(self) -> bool:
        """Whether the engine has a state, which may have resources."""
        return any(self._state.rglob("*.json"))

    @property
    def _state(self) -> Path:
        return self._journal.folder / "state"

    def create(self, settings: Mapping[str, str]) -> None:
        """Create the stack, with its settings."""
        folder = self._journal.folder
        self._state.mkdir()
        write_private(folder / "passphrase", secrets.token_urlsafe(32))
        # Plugins are those of the user, or become them: they are large, and the same.
        plugins = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi")) / "plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        (folder / "pulumi").mkdir()
        (folder / "pulumi" / "plugins").symlink_to(plugins)
        self._pulumi("stack", "init", self._journal.run.name)
        self.configure(settings)

    def configure(self, settings: Mapping[str, str]) -> None:
        """Set values, none of which is secret."""
        pairs = [word for pair in settings.items() for word in ("--plaintext", "=".join(pair))]
        self._pulumi("config", "set-all", "--path", *pairs)

    def up(self) -> None:
        """Run `pulumi up`."""
        self._pulumi("up", "--yes", "--skip-preview", "--suppress-outputs", seconds=_UP_SECONDS)

    def check_unchanged(self) -> None:
        """Check that `pulumi preview` has nothing to do."""
        self._pulumi("preview", "--expect-no-changes", seconds=_UP_SECONDS)

    def outputs(self) -> dict[str, Any]:
        """Return the outputs, secrets included."""
        text = self._pulumi("stack", "output", "--json", "--show-secrets")
        outputs: dict[str, Any] = json.loads(text)
        return outputs

    def destroy(self) -> None:
        """Destroy all that is in the state, also after an interruption, or without the cluster."""
        # The engine may have been killed while it wrote an attributes file, whose defaults do:
        # https://github.com/google/go-cloud/blob/master/blob/fileblob/attrs.go
        for path in self._state.rglob("*.attrs"):
            if not path.stat().st_size:
                path.unlink()
        self._pulumi("cancel", "--yes")
        self._pulumi("destroy", "--yes", "--skip-preview", seconds=_DESTROY_SECONDS)

    def forget(self) -> None:
        """Delete the file of the settings."""
        self.settings_file.unlink(missing_ok=True)

    @property
    def settings_file(self) -> Path:
        """Where the engine keeps settings: beside the program."""
        return ROOT / f"Pulumi.{self._journal.run.name}.yaml"

    def _pulumi(self, *args: str, seconds: float = 120) -> str:
        argv = ("pulumi", "--non-interactive", "--color=never", *args)
        return self._commands.run(*argv, env=self.environment, seconds=seconds)


def environment(journal: Journal, own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of pulumi and of all that looks at the stack."""
    folder = journal.folder
    kept = {name: value for name, value in own.items() if name not in _NOT_OURS}
    return kept | {
        "PULUMI_HOME": str(folder / "pulumi"),
        "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
        "PULUMI_STACK": journal.run.name,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        # A droplet that is gone keeps the Space from being deleted otherwise. A cluster of the
        # user's is there again later: https://www.pulumi.com/registry/packages/kubernetes/
        "PULUMI_K8S_DELETE_UNREACHABLE": str("cluster" not in journal.facts()).lower(),
        "KUBECONFIG": str(journal.kubeconfig),
        "SSL_CERT_FILE": str(folder / "bundle.pem"),
    }
