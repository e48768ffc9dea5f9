"""The Job that checks the storage before the registry starts."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.metadata import labels
from components.script_job import SCRIPTS, SECRET_FOLDER, ScriptJobArgs, script_job
from components.storage.storage import StorageConnection

LABELS = labels("storage-check")
"""The labels of the check's pod, which may reach the storage as the registry may."""

DEADLINE_SECONDS = 120
"""The script gives up within a minute; the rest is for the pull of its image."""


@dataclass(frozen=True, kw_only=True)
class StorageCheckArgs:
    """What is checked.

    Attributes:
        namespace: The registry's namespace.
        image: An image with Python 3.9 or newer as ``python3``.
        storage: The storage.
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
        job = script_job(
            name,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=LABELS,
                image=args.image,
                scripts=[SCRIPTS / "check_storage.py", SCRIPTS / "s3.py"],
                arguments=[
                    *args.storage.arguments,
                    f"--key-file={SECRET_FOLDER}/credentials",
                    *(["--managed"] if args.storage.managed else []),
                ],
                secret=args.key_secret,
                deadline_seconds=DEADLINE_SECONDS,
            ),
            parent=self,
        )
        self.job = job.metadata.name
        self.register_outputs({"job": self.job})
