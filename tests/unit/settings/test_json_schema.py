"""Editors take every configuration that is in this repository, by the JSON schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from sandbox.engine import engine
from sandbox.layout import Layout
from tests.unit.program.conftest import PROJECT, ROOT
from tests.unit.settings.helpers import GOOD, S3
from tests.unit.settings.pulumi_config import PulumiConfig
from tests.unit.settings.stack_file import GOOD_ONES, SCHEMA, VALIDATOR, file, written


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", GOOD_ONES)
def test_every_configuration_of_the_tests_is_taken_in_projects_of_any_name(name: str) -> None:
    values = GOOD_ONES[name]
    for project in (PROJECT, "my.images"):
        assert [error.message for error in VALIDATOR.iter_errors(file(values, project))] == []
    without_namespace = {"config": written(values)}
    assert VALIDATOR.is_valid(without_namespace), "the engine adds the project's name"


def test_the_example_stack_is_taken_and_names_the_schema() -> None:
    text = (ROOT / "Pulumi.dev.yaml").read_text()
    assert VALIDATOR.is_valid(yaml.safe_load(text))
    (path,) = re.findall(r"^# yaml-language-server: \$schema=(\S+)$", text, re.MULTILINE)
    assert (ROOT / path).is_file()


def test_the_schemas_file_is_no_stacks_file() -> None:
    """Pulumi would take Pulumi.<stack>.json for the configuration of a stack."""
    assert not list(ROOT.glob("Pulumi.*.json"))


def test_what_the_sandbox_sets_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = PulumiConfig({})

    def run(_: Layout, args: list[str], stdin: str = "") -> None:
        if "set-all" in args:
            pairs = [arg for arg in args[3:] if arg != "--plaintext"]
            for key, value in (pair.split("=", 1) for pair in pairs):
                values.run(f"pulumi config set --path {key} {value}")
        else:
            values.typed.append(stdin)
            values.run(f"pulumi {' '.join(args)}")

    monkeypatch.setattr(engine, "_quietly", run)
    engine._configure(Layout(tmp_path, "sandbox", 0))
    assert set(values.values) == {"hostname", "registry", "scripts", "digitalocean:token"}
    assert [*VALIDATOR.iter_errors(file(values.values))] == []


def documented() -> Iterator[tuple[Path, list[str]]]:
    """Yield the blocks of commands in the documentation that configure a stack."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL):
            commands = re.findall(
                r"^ *(pulumi config set (?!-all)[^#\n&|]*?) *(?:[#&].*)?$", block, re.MULTILINE
            )
            if commands:
                yield page, commands


def test_what_the_documentation_sets_is_taken() -> None:
    blocks = list(documented())
    assert len(blocks) > 15
    for page, commands in blocks:
        # A page may leave the rest of a bucket to its reader.
        base = GOOD | ({"storage": S3} if "s3" in str(commands) else {})
        values = PulumiConfig(base, typed=("x",) * 9, files={"ca.pem": "", "kubeconfig": ""})
        for command in commands:
            values.run(re.sub(r"<[^>\n]+>", "x", command))
        errors = [*VALIDATOR.iter_errors(file(values.values))]
        assert not errors, f"{page.name}: {commands}"
