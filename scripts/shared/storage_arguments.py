"""The argument of commands that names the registry's storage.

Plain Python 3.9 with nothing installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from scripts.shared.objects import Objects, StorageError
from scripts.shared.s3 import Bucket, Key


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names the storage."""
    parser.add_argument(
        "--storage",
        type=Path,
        metavar="FILE",
        help="the output storage_connection in JSON; by default that of the selected stack",
    )


def objects_of(args: argparse.Namespace) -> Objects:
    """Return the objects of the bucket that the arguments name.

    Raises:
        StorageError: The selected stack has no such output.
    """
    connection = json.loads(args.storage.read_text() if args.storage else _stack_output())
    return Objects(bucket_of(connection), connection["root_directory"])


def bucket_of(connection: Mapping[str, str]) -> Bucket:
    """Return the bucket that the output storage_connection names."""
    return Bucket(
        endpoint=connection["endpoint"],
        region=connection["region"],
        name=connection["bucket"],
        path_style=connection["path_style"] == "true",
        key=Key(connection["access_key"], connection["secret_key"]),
    )


def _stack_output() -> str:
    command = ["pulumi", "stack", "output", "storage_connection", "--json", "--show-secrets"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StorageError(result.stderr.strip())
    return result.stdout
