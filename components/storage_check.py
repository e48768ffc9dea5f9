"""The Job that comes before the registry, and tells what is wrong with the store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.connection import StorageConnection
from components.network import CHECK_LABELS
from components.script_job import SECRET_FOLDER, ScriptJobArgs, script_job

_JOBS = Path(__file__).parent.parent / "jobs"

DEADLINE_SECONDS = 120
"""The script gives up within a minute; the rest is for the pull of its image."""


@dataclass(frozen=True, kw_only=True)
class StorageCheckArgs:
    """What is checked.

    Attributes:
        namespace: The registry's namespace.
        image: Has Python 3.9 or newer as ``python3``.
        storage: The store.
        key_secret: The Secret with the shared credentials file that opens it.
    """

    namespace: pulumi.Input[str]
    image: str
    storage: StorageConnection
    key_secret: pulumi.Input[str]


class StorageCheck(pulumi.ComponentResource):
    """A Job that does to the bucket what the registry will, after each change of the store."""

    def __init__(
        self, name: str, args: StorageCheckArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("registry:index:StorageCheck", name, None, opts)
        storage = args.storage
        script_job(
            name,
            ScriptJobArgs(
                namespace=args.namespace,
                labels=CHECK_LABELS,
                image=args.image,
                scripts=[_JOBS / "check_store.py", _JOBS / "s3_client.py"],
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
                deadline_seconds=DEADLINE_SECONDS,
            ),
            parent=self,
        )
        self.register_outputs({})
