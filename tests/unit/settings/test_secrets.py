"""Secrets are encrypted, and no error shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.settings.helpers import GOOD, S3, load_stack, loaded, problems, refusal
from tests.unit.settings.pulumi_config import PulumiConfig, Secret

PLAIN = "hunter2"
KEYLESS = {key: value for key, value in S3.items() if key != "secretKey"}
KUBECONFIG = f"apiVersion: v1\nusers: [{{name: a, user: {{token: {PLAIN}}}}}]"


@pytest.mark.parametrize(
    ("slip", "key", "fix"),
    [
        (
            {"storage": S3 | {"secretKey": PLAIN}},
            "storage.secretKey",
            "pulumi config get --path storage.secretKey | "
            "pulumi config set --path --secret storage.secretKey",
        ),
        (
            {"digitalocean:token": PLAIN},
            "digitalocean:token",
            "pulumi config get digitalocean:token | pulumi config set --secret digitalocean:token",
        ),
        (
            {"digitalocean:spacesAccessId": "a", "digitalocean:spacesSecretKey": PLAIN},
            "digitalocean:spacesSecretKey",
            "pulumi config get digitalocean:spacesSecretKey | "
            "pulumi config set --secret digitalocean:spacesSecretKey",
        ),
        (
            {"kubernetes:kubeconfig": KUBECONFIG},
            "kubernetes:kubeconfig",
            "pulumi config get kubernetes:kubeconfig | "
            "pulumi config set --secret kubernetes:kubeconfig",
        ),
        (
            {"kubernetes:kubeconfig": f'{{"token":"{PLAIN}"}}'},
            "kubernetes:kubeconfig",
            "pulumi config get kubernetes:kubeconfig | "
            "pulumi config set --secret kubernetes:kubeconfig",
        ),
    ],
)
def test_a_secret_in_plaintext_is_refused_and_the_fix_encrypts_it(
    slip: dict[str, Any], key: str, fix: str
) -> None:
    config = PulumiConfig({**GOOD, **slip})
    error = refusal(config.values)
    (problem,) = error.problems
    assert (problem.key, problem.value, problem.fix) == (key, "[secret]", fix)
    assert problem.expected == (
        "expected it to be set with --secret: it is in plaintext in the stack's configuration file"
    )
    assert PLAIN not in str(error)
    before = {**config.values}
    config.run(problem.fix)
    assert config.values == before, "the value is the same"
    load_stack(config)


def test_nothing_is_no_secret_in_plaintext() -> None:
    (problem,) = problems({**GOOD, "storage": S3 | {"secretKey": None}})
    assert problem.expected == "expected it to be set"
    webhook = {"url": "https://ci.example.com", "headers": None}
    assert loaded({**GOOD, "webhooks": {"ci": webhook}})[0].webhooks["ci"].headers == {}


@pytest.mark.parametrize(
    ("slip", "fix"),
    [
        (
            {"storage": KEYLESS, "storage.secretKey": PLAIN},
            "pulumi config get storage.secretKey | "
            "pulumi config set --path --secret storage.secretKey && "
            "pulumi config rm storage.secretKey",
        ),
        (
            {"storage": KEYLESS | {"secret_key": PLAIN}},
            "pulumi config get --path storage.secret_key | "
            "pulumi config set --path --secret storage.secretKey && "
            "pulumi config rm --path storage.secret_key",
        ),
        (
            {"storage": KEYLESS, "secretKey": Secret(PLAIN)},
            "pulumi config get secretKey | "
            "pulumi config set --path --secret storage.secretKey && pulumi config rm secretKey",
        ),
    ],
)
def test_a_secret_under_a_wrong_key_moves_without_being_shown(
    slip: dict[str, Any], fix: str
) -> None:
    config = PulumiConfig({**GOOD, **slip})
    error = refusal(config.values)
    (problem,) = error.problems
    assert (problem.value, problem.fix) == ("[secret]", fix)
    assert PLAIN not in str(error)
    config.run(problem.fix)
    assert config.values == {**GOOD, "storage": S3}
    assert isinstance(config.values["storage"]["secretKey"], Secret)


def test_what_is_set_as_a_secret_stays_one_under_its_right_key() -> None:
    config = PulumiConfig({**GOOD, "storage.region": Secret("fra1")})
    error = refusal(config.values)
    (problem,) = error.problems
    assert problem.value == "[secret]"
    assert "fra1" not in str(error)
    config.run(problem.fix)
    assert config.values == {**GOOD, "storage": {"region": Secret("fra1")}}
    assert isinstance(config.values["storage"]["region"], Secret)


def test_the_text_of_an_object_is_never_shown_with_its_secrets() -> None:
    text = '{"kind": "s3", "bucket": "images", "endpoint": "http://s3", "accessKey": "a", '
    config = PulumiConfig(
        {**GOOD, "storage": text + f'"secretKey": "{PLAIN}"}}'}, typed=(PLAIN, PLAIN)
    )
    error = refusal(config.values)
    assert PLAIN not in str(error)
    assert {problem.value for problem in error.problems} == {"{...}", "[secret]"}
    config.run(error.problems[0].fix)
    assert config.typed == [PLAIN], "it asks once"
    load_stack(config)


def test_an_encrypted_text_of_an_object_is_set_again_by_typing() -> None:
    text = Secret('{"replicas": 2, "parallelUploads": 4}')
    config = PulumiConfig({**GOOD, "registry": text}, typed=("2", "4"))
    (problem,) = problems(config.values)
    assert "2" not in problem.fix
    config.run(problem.fix)
    assert load_stack(config)[0].registry.replicas == 2


@pytest.mark.parametrize(
    "section",
    [
        {"region": Secret(PLAIN)},
        {"regoin": Secret(PLAIN)},
        {"zzz": Secret(PLAIN)},
        Secret(PLAIN),
        {"kind": "s3", "endpoint": Secret(PLAIN), "bucket": "B", "accessKey": "a"},
        {"kind": "s3", "secretKey": {"x": PLAIN}},
        {"kind": "s3", "secretKey": [PLAIN]},
        {"passwort": PLAIN},
        {"region": {"x": PLAIN}},
    ],
)
def test_no_error_shows_what_is_or_may_be_a_secret(section: Any) -> None:
    assert PLAIN not in str(refusal({**GOOD, "storage": section}, {}))


def test_values_beside_a_secret_are_shown() -> None:
    (problem,) = problems({**GOOD, "storage": S3 | {"bucket": "A_B"}}, {})
    assert problem.value == '"A_B"'


def test_a_private_key_is_not_shown() -> None:
    key = f"-----BEGIN PRIVATE KEY-----\n{PLAIN}\n-----END PRIVATE KEY-----"
    error = refusal({**GOOD, "tls": {"clientCa": key}})
    assert PLAIN not in str(error)
    assert error.problems[0].value == "[secret]"


def test_a_kubeconfig_may_be_a_path_in_plaintext(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(KUBECONFIG)
    loaded({**GOOD, "kubernetes:kubeconfig": str(path)})


def test_secrets_are_not_in_the_representation_of_what_was_loaded() -> None:
    settings, _ = loaded({**GOOD, "storage": S3})
    assert PLAIN not in repr(settings)
