"""The argument of commands that names the registry's storage."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.shared.objects import Objects, StorageError
from scripts.shared.s3 import Bucket, Key

_OUTPUT = "storage_connection"


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
        StorageError: It is not known.
    """
    return objects_in(args.storage) if args.storage else objects_at(stack_output(_OUTPUT))


def objects_in(file: Path) -> Objects:
    """Return the objects of the bucket that a file names, as the output storage_connection does.

    Raises:
        StorageError: It names none.
    """
    try:
        return objects_at(json.loads(file.read_text()))
    except (ValueError, KeyError, TypeError) as error:
        # Never the message: it can hold what is in the file.
        raise StorageError(
            f"{file} is not the output storage_connection ({type(error).__name__}); fix: "
            f"(umask 077 && {' '.join(_command(_OUTPUT))} > {file})"
        ) from None


def objects_at(connection: Mapping[str, str]) -> Objects:
    """Return the objects of the bucket that the output storage_connection names."""
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


def stack_output(*name: str) -> dict[str, Any]:
    """Return an output of the selected stack, or all of them; raises :class:`.StorageError`."""
    result = subprocess.run(_command(*name), capture_output=True, text=True, check=False)
    if result.returncode:
        raise StorageError(result.stderr.strip())
    values: dict[str, Any] = json.loads(result.stdout)
    return values


def _command(*name: str) -> list[str]:
    return ["pulumi", "stack", "output", *name, "--json", "--show-secrets"]
