"""What is generated from the settings is up to date."""

from __future__ import annotations

import pytest
import yaml

from reference.files import ROOT, files
from reference.model import keys, leaves
from settings import Settings


@pytest.mark.parametrize("path", files())
def test_each_file_is_as_the_settings_are_described(path: str) -> None:
    assert (ROOT / path).read_text() == files()[path], f"{path} is out of date; run: make reference"


def test_the_project_file_has_the_defaults_of_the_settings() -> None:
    config = yaml.safe_load(files()["Pulumi.yaml"])["config"]
    for name, field in Settings.aliases().items():
        default = "" if field.is_required() else field.default
        expected: object = default if isinstance(default, str | int) else {}
        assert config[name]["default"] == expected, name


def test_every_setting_is_described() -> None:
    assert not [path for path, key in leaves(Settings) if not key.text]
    assert not [key.name for key in keys(Settings) if not key.text]
