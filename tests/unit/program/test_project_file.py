"""The project file and the example stack leave all checks to the settings."""

from __future__ import annotations

import re

import yaml

from components import network
from components.ingress import acme_pod
from components.registry import side_servers
from tests.unit.program.conftest import PROJECT, ROOT
from tests.unit.settings.helpers import problems


def test_the_engine_checks_no_types_since_it_does_not_say_how_to_fix_them() -> None:
    config = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    assert {key for described in config.values() for key in described} == {"default", "description"}


def test_the_picture_of_what_runs_has_every_port_that_something_listens_on() -> None:
    (picture,) = re.findall(r"```mermaid\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    ours = {port for name, port in vars(network).items() if name.endswith("PORT")}
    ours.add(acme_pod.PORT)
    registries = {side_servers.REGISTRY_ADDRESS, side_servers.MANIFESTS_ADDRESS}
    assert set(re.findall(r"127\.0\.0\.1:\d+", picture)) == registries
    ours |= {int(address.rpartition(":")[2]) for address in registries}
    assert {int(port) for port in re.findall(r"\b\d{4}\b", picture)} == ours


def test_the_example_stack_sets_nothing_so_whoever_forgets_the_hostname_is_told() -> None:
    stack = yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text()) or {}
    config = stack.get("config", {})
    values = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}
    assert [problem.key for problem in problems(values)] == ["hostname"]
    assert stack == {}, "after `pulumi new` its keys would belong to another project"
