"""The engine: no unexpected changes, no secrets in plaintext, clear errors."""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

import pytest

from sandbox.cloud import spaces
from tests.sandbox.helpers import Sandbox


def test_a_second_up_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.pulumi("up", "--yes", "--expect-no-changes")


def test_a_preview_shows_no_changes(sandbox: Sandbox) -> None:
    sandbox.pulumi("preview", "--expect-no-changes")


def test_a_refresh_finds_everything_as_it_was_left(sandbox: Sandbox) -> None:
    sandbox.pulumi("refresh", "--yes", "--expect-no-changes")
    sandbox.pulumi("preview", "--expect-no-changes")


def test_the_table_of_outputs_starts_with_the_login_line(sandbox: Sandbox) -> None:
    _, header, first, *_ = sandbox.pulumi("stack", "output").stdout.splitlines()
    assert header.split() == ["OUTPUT", "VALUE"]
    assert first.split()[:4] == ["login", "pulumi", "stack", "output"]


def encodings(secret: str) -> set[str]:
    """Return all encodings in which a secret could leak."""
    raw = secret.encode()
    forms = {secret, raw.hex(), json.dumps(secret)[1:-1]}
    forms |= {urllib.parse.quote(secret, safe=safe) for safe in ("", "/")}
    for shift in range(3):
        # Base64 of a text that contains the secret: its first and last digits depend on the rest.
        coded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        forms.add(coded[4 if shift else 0 : -2])
    return {form for form in forms if len(form) >= 12}


def leaks(secrets: Iterable[str], text: str) -> set[str]:
    """Return the secrets that a text contains, in any encoding."""
    return {secret for secret in secrets if any(form in text for form in encodings(secret))}


@pytest.fixture(scope="module")
def secrets(sandbox: Sandbox) -> set[str]:
    """Every secret of the state, the cluster and the cloud."""
    values = {sandbox.password, spaces.secrets(sandbox.layout).token}
    state = json.loads(sandbox.pulumi("stack", "export", "--show-secrets").stdout)
    for resource in state["deployment"]["resources"]:
        outputs = resource.get("outputs", {})
        for name in ("secretKey", "result", "base64", "hex", "bcryptHash"):
            # A suffix of a bucket's name is random, but no secret.
            if resource["type"] != "random:index/randomString:RandomString":
                value = outputs.get(name, {})
                if isinstance(value, dict) and "plaintext" in value:
                    values.add(json.loads(value["plaintext"]))
    proxy = sandbox.secret("registry-auth-proxy")["caddy.json"]
    values |= set(re.findall(r'"password": "([^"]+)"', proxy))
    values.add(sandbox.secret("registry-storage-key")["credentials"].split(" = ")[-1].strip())
    assert len(values) >= 8, "a check that knows few secrets finds few leaks"
    return values


def test_no_secret_is_in_the_state_in_plaintext(sandbox: Sandbox, secrets: set[str]) -> None:
    assert not leaks(secrets, sandbox.pulumi("stack", "export").stdout)
    kept = sandbox.layout.state / "pulumi" / ".pulumi"
    for path in (path for path in kept.rglob("*") if path.is_file()):
        assert not leaks(secrets, path.read_text(errors="replace")), path


def test_no_secret_is_in_the_outputs_or_in_the_output_of_up(
    sandbox: Sandbox, secrets: set[str]
) -> None:
    assert not leaks(secrets, sandbox.up_output)
    assert not leaks(secrets, sandbox.pulumi("stack", "output").stdout)
    assert not leaks(secrets, sandbox.pulumi("stack", "output", "--json").stdout)
    assert not leaks(secrets, sandbox.pulumi("preview", "--diff").stdout)


def test_no_secret_is_in_a_log(sandbox: Sandbox, secrets: set[str]) -> None:
    logs = list(sandbox.layout.logs.rglob("*.log"))
    assert len(logs) > 5, "a check of few logs finds few leaks"
    for path in logs:
        assert not leaks(secrets, path.read_text(errors="replace")), path
    for pod in sandbox.get("pods", "--all-namespaces")["items"]:
        name = pod["metadata"]["name"]
        assert not leaks(secrets, log_of(sandbox, name, pod["metadata"]["namespace"])), name


def log_of(sandbox: Sandbox, pod: str, namespace: str) -> str:
    """Return what a pod said; nothing if it is gone meanwhile."""
    which = (pod, f"--namespace={namespace}", "--all-containers", "--ignore-errors")
    try:
        return sandbox.kubectl("logs", *which).stdout
    except AssertionError as error:
        if "(NotFound)" not in str(error):
            raise
        return ""


def test_no_secret_is_in_an_object_of_the_cluster_but_in_secrets(
    sandbox: Sandbox, secrets: set[str]
) -> None:
    kinds = "pods,deployments,replicasets,jobs,configmaps,services,ingresses,events,networkpolicies"
    kinds += ",ingressroutes,middlewares,tlsoptions"
    assert not leaks(secrets, json.dumps(sandbox.get(kinds, "--all-namespaces")))


def test_no_secret_is_in_the_arguments_of_a_process(secrets: set[str]) -> None:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text(errors="replace")
        except OSError:
            continue
        assert not leaks(secrets, command), command.split("\0")[0]


@pytest.mark.parametrize("encode", [str, urllib.parse.quote, lambda text: text.encode().hex()])
def test_a_planted_leak_is_found(secrets: set[str], encode: object) -> None:
    for secret in secrets:
        assert leaks(secrets, f"before {encode(secret)} after"), "the check is blind"  # type: ignore[operator]  # each takes and gives text


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_planted_leak_is_found_within_base64(secrets: set[str], before: str) -> None:
    for secret in secrets:
        text = base64.b64encode(f"{before}{secret} and more".encode()).decode()
        assert leaks(secrets, f"data: {text}"), "the check is blind"
