"""The Job that checks the storage before the registry starts."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.network import STORAGE_CHECK_LABELS
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_job
from components.storage.storage import StorageConnection
from scripts.storage.check_storage import TOTAL_SECONDS
from scripts.storage.storage_errors import NEW_SECONDS

PULL_SECONDS = 70
"""How long the pull of the script's image may take."""


@dataclass(frozen=True, kw_only=True)
class StorageCheckArgs:
    """What is checked.

    Attributes:
        key_secret: The Secret with the shared credentials file of the storage key.
    """

    namespace: pulumi.Input[str]
    image: str
    storage: StorageConnection
    key_secret: pulumi.Input[str]


class StorageCheck(pulumi.ComponentResource):
    """A Job that does to the bucket what the registry will, after each change of the storage.

    Attributes:
        job: The name of the Job, known once it has succeeded.
    """

    job: pulumi.Output[str]

    def __init__(
        self, name: str, args: StorageCheckArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:StorageCheck", name, None, opts)
        storage = args.storage
        job = script_job(
            name,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=STORAGE_CHECK_LABELS,
                image=args.image,
                script="storage.check_storage",
                arguments=[
                    storage.endpoint,
                    f"--region={storage.region}",
                    pulumi.Output.concat("--bucket=", storage.bucket),
                    f"--folder={storage.root_directory}",
                    f"--key-file={SECRET_FOLDER}/credentials",
                    *([] if storage.path_style else ["--virtual-host"]),
                    *(["--managed"] if storage.managed else []),
                ],
                secret=args.key_secret,
                deadline_seconds=PULL_SECONDS
                + TOTAL_SECONDS
                + (NEW_SECONDS if storage.managed else 0),
            ),
            parent=self,
        )
        self.job = job.metadata.name
        self.register_outputs({"job": self.job})
