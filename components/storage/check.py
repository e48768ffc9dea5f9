"""The Job that checks the storage before the registry starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_kubernetes as kubernetes

from components.network import STORAGE_CHECK_LABELS
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_job
from components.storage.storage import StorageConnection
from scripts.storage.check_storage import TOTAL_SECONDS
from scripts.storage.storage_errors import NEW_SECONDS

PULL_SECONDS = 70
"""How long the pull of the script's image may take."""


def check_storage(
    name: str,
    storage: StorageConnection,
    *,
    namespace: pulumi.Input[str],
    image: str,
    key_secret: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    labels: Mapping[str, str] = STORAGE_CHECK_LABELS,
    section: str = "storage",
    hidden: Sequence[str] = (),
) -> kubernetes.batch.v1.Job:
    """Create a Job that does to the bucket what the registry will, when the storage has changed.

    `key_secret` is the Secret with the shared credentials file of the storage key, `section` that
    of the settings, `hidden` the starts of names that no repository may have.
    """
    args = ScriptJobArgs(
        namespace=namespace,
        labels=labels,
        image=image,
        script="storage.check_storage",
        arguments=[
            storage.endpoint,
            f"--region={storage.region}",
            pulumi.Output.concat("--bucket=", storage.bucket),
            f"--folder={storage.root_directory}",
            f"--key-file={SECRET_FOLDER}/credentials",
            *([] if storage.path_style else ["--virtual-host"]),
            *(["--managed"] if storage.managed else []),
            *([] if section == "storage" else [f"--section={section}"]),
            *(f"--hidden={start}" for start in hidden),
        ],
        secret=key_secret,
        deadline_seconds=PULL_SECONDS + TOTAL_SECONDS + (NEW_SECONDS if storage.managed else 0),
    )
    return script_job(name, args, opts)
