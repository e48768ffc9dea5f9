"""Commands find the registry's storage."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from scripts.shared.objects import StorageError
from scripts.shared.s3 import Bucket, Key
from scripts.shared.storage_arguments import add_arguments, objects_of, stack_output


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


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"endpoint": "https://hunter2"}', "null"])
def test_a_file_that_is_none_is_refused_with_the_command_that_writes_it(
    tmp_path: Path, content: str
) -> None:
    file = tmp_path / "storage.json"
    file.write_text(content)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(StorageError, match="pulumi stack output storage_connection") as error:
        objects_of(parser.parse_args([f"--storage={file}"]))
    assert "hunter2" not in str(error.value), "it may be another secret file"


def test_the_outputs_of_the_selected_stack_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pulumi = tmp_path / "pulumi"
    pulumi.write_text('#!/bin/sh\nprintf \'{"arguments": "%s"}\' "$*"\n')
    pulumi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert stack_output() == {"arguments": "stack output --json --show-secrets"}
    named = {"arguments": "stack output storage_connection --json --show-secrets"}
    assert stack_output("storage_connection") == named
