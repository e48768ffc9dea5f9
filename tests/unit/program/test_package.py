"""The component as other programs use it: its schema and inputs, and the registry it creates."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.provider.experimental.component import ComponentProvider

from package.inputs import PrivateRegistryArgs
from package.private_registry import (
    PACKAGE,
    PrivateRegistry,
    as_configured,
    nested,
)
from settings import Settings
from tests.unit.conftest import Golden
from tests.unit.program.conftest import CONFIG, ROOT, Run, refusal

CONSUMER = """
import pulumi
from package.private_registry import PrivateRegistry

registry = PrivateRegistry("team", {inputs}, pulumi.ResourceOptions(protect=True))
pulumi.export("login", registry.username)
pulumi.export("bucket", registry.storage_bucket)
"""


def consumer(tmp_path: Path, **inputs: Any) -> Path:
    """Return another program, which creates a registry and something else."""
    path = tmp_path / "consumer.py"
    path.write_text(CONSUMER.replace("{inputs}", repr(inputs)))
    return path


def test_the_schema_is_the_golden_one(golden: Golden) -> None:
    schema = ComponentProvider([PrivateRegistry], PACKAGE).schema or ""
    text = json.dumps(json.loads(schema), indent=2, sort_keys=True)
    golden("package-schema.json", f"{text}\n", "other programs stop working. If that is meant")


def test_every_input_reaches_its_setting() -> None:
    for name in PrivateRegistryArgs.__annotations__.keys() - {"users", "retention_rules"}:
        text = json.dumps(nested(Settings, {name: "here"}))
        assert text.count('"here"') == 1, name
        keys = text.replace('"', "").replace("{", "").split(":")[:-1]
        words = "".join(keys).replace(" ", "").lower()
        assert words == name.replace("_", "").lower(), "the prefix of an input is its section"


def test_no_input_takes_a_secret_since_the_state_has_inputs_as_they_are() -> None:
    names = str(list(PrivateRegistryArgs.__annotations__))
    assert not re.search("secret_key|access_key|webhook|header", names)


@pytest.mark.parametrize(
    ("value", "text"),
    [("1.0", "1.0"), ({"b": 2.0, "a": True}, '{"a":true,"b":2}'), (["x"], '["x"]')],
)
def test_inputs_are_written_as_the_engine_does(value: object, text: str) -> None:
    assert as_configured(value) == text


def test_another_program_gets_the_same_registry_and_its_outputs(run: Run, tmp_path: Path) -> None:
    inputs = {**CONFIG, "registry_replicas": 2, "users": {"ci": {"push": ["a/*"]}}}
    engine = run({}, program=consumer(tmp_path, **inputs))
    settings = {**CONFIG, "registry": {"replicas": 2}, "users": {"ci": {"push": ["a/*"]}}}
    program = run(settings)
    own = {"private-registry": "team"}
    assert set(engine.resources) == {own.get(name, name) for name in program.resources}
    assert engine.outputs == {"login": "admin", "bucket": program.outputs["storage_bucket"]}
    assert engine.resources["team"].options["protect"] is True, "the caller's options count"
    assert engine.resources["team"].outputs == program.resources["private-registry"].outputs


OWN_KEYS = {"registry:color": "blue", "registry:namespace": "Hidden"}
OWN_SECRETS = {"PULUMI_CONFIG_SECRET_KEYS": json.dumps(["registry:namespace"])}
"""Of a project that is called registry, as the package is."""


def test_the_callers_own_keys_are_no_settings(run: Run, tmp_path: Path) -> None:
    program = consumer(tmp_path, **CONFIG)
    engine = run(OWN_KEYS, program=program, environment=OWN_SECRETS)
    assert engine.inputs("record") == run({}, program=program).inputs("record")


def test_an_input_is_no_secret_because_the_caller_has_one_of_its_name(
    run: Run, tmp_path: Path
) -> None:
    program = consumer(tmp_path, **CONFIG, namespace="kube-x")
    with pytest.raises(Exception, match='  namespace = "kube-x"'):
        run(OWN_KEYS, program=program, environment=OWN_SECRETS)


def test_a_wrong_input_is_refused_as_a_wrong_setting_is(run: Run, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"storage.region = \"fra9\""):
        run({}, program=consumer(tmp_path, **CONFIG, storage_region="fra9"))


SECOND = """
PrivateRegistry("second", {"hostname": "second.example.com", "namespace": "second"})
"""


def test_a_second_registry_is_refused_since_both_would_have_the_same_record_of_their_images(
    run: Run, tmp_path: Path
) -> None:
    program = consumer(tmp_path, **CONFIG)
    program.write_text(program.read_text() + SECOND)
    with pytest.raises(pulumi.RunError, match='"team" is one, so "second" is refused'):
        run({}, program=program)


def test_what_is_refused_once_the_state_is_known_does_not_end_the_callers_process(
    run: Run, tmp_path: Path
) -> None:
    """The host of the component is asked for other things, too; the program itself ends."""
    state = {"cluster-uid": {"output": "another cluster's"}}
    with pytest.raises(pulumi.RunError, match="expected this stack's cluster"):
        run({}, program=consumer(tmp_path, **CONFIG), state=state)
    assert "expected this stack's cluster" in refusal(run, state=state)


def test_the_example_has_a_registry_beside_another_resource(run: Run) -> None:
    engine = run(CONFIG, program=ROOT / "examples" / "python" / "__main__.py")
    assert engine.resources["private-registry"].type == "registry:index:PrivateRegistry"
    login = engine.inputs("login")
    assert login["metadata"]["namespace"] == "team"
    (registry,) = json.loads(login["stringData"][".dockerconfigjson"])["auths"]
    assert registry == CONFIG["hostname"]
