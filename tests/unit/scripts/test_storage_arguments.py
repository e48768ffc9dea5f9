"""Commands find the registry's storage."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from scripts.shared.objects import StorageError
from scripts.shared.s3 import Bucket, Key
from scripts.shared.storage_arguments import add_arguments, objects_of


def test_a_file_names_the_bucket(tmp_path: Path) -> None:
    connection = {
        "endpoint": "https://s3.example.com",
        "region": "r",
        "bucket": "images",
        "access_key": "a",
        "secret_key": "s",
        "path_style": "true",
        "root_directory": "folder",
    }
    file = tmp_path / "storage.json"
    file.write_text(json.dumps(connection))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with objects_of(parser.parse_args([f"--storage={file}"])) as objects:
        assert vars(objects)["_prefix"] == "folder/"
        assert vars(objects)["_bucket"] == Bucket(
            endpoint="https://s3.example.com",
            region="r",
            name="images",
            path_style=True,
            key=Key("a", "s"),
        )


def test_without_a_file_the_selected_stack_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text("#!/bin/sh\necho 'error: no stack selected' >&2\nexit 1\n")
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(StorageError, match="error: no stack selected"):
        objects_of(parser.parse_args([]))
