"""Who is told of changes."""

from __future__ import annotations

from typing import Any

import pytest

from settings.problems import Problem
from settings.schema import WebhookSettings
from tests.unit.settings.helpers import GOOD, loaded, problems
from tests.unit.settings.pulumi_config import Secret

URL = "https://ci.example.com/hook?x=1"


def webhook(values: dict[str, Any]) -> WebhookSettings:
    return loaded({**GOOD, "webhooks": {"ci": values}})[0].webhooks["ci"]


def test_nobody_is_told_by_default() -> None:
    assert loaded(GOOD)[0].webhooks == {}


def test_pushes_and_deletes_are_told_by_default() -> None:
    assert webhook({"url": URL}) == WebhookSettings(url=URL, headers={}, actions=["push", "delete"])
    assert webhook({"url": URL, "actions": ["pull"]}).actions == ["pull"]


def test_a_webhook_without_a_url_is_refused() -> None:
    (problem,) = problems({**GOOD, "webhooks": {"ci": {"actions": ["push"]}}})
    assert problem.key == "webhooks.ci.url"


def test_a_header_is_a_secret() -> None:
    headers = webhook({"url": URL, "headers": {"Authorization": Secret("Bearer x")}}).headers
    assert headers == {"Authorization": "Bearer x"}


def test_a_header_in_plaintext_is_refused_and_not_shown() -> None:
    headers = {"Authorization": "Bearer hunter2"}
    (problem,) = problems({**GOOD, "webhooks": {"ci": {"url": URL, "headers": headers}}})
    assert problem.key == "webhooks.ci.headers.Authorization"
    assert problem.value == "[secret]"
    assert problem.fix.endswith(
        "pulumi config set --path --secret webhooks.ci.headers.Authorization"
    )
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\n"])
def test_what_is_no_name_of_a_header_is_refused(name: str) -> None:
    values = {**GOOD, "webhooks": {"ci": {"url": URL, "headers": {name: Secret("x")}}}}
    (problem,) = problems(values)
    assert "expected the name of a header" in problem.expected


@pytest.mark.parametrize("value", ["", "Bearer x\n", "a\r\nHost: b", " x", "x ", "\x00", "é"])
def test_what_is_no_value_of_a_header_is_refused_and_not_shown(value: str) -> None:
    headers = {"Authorization": Secret(value)}
    (problem,) = problems({**GOOD, "webhooks": {"ci": {"url": URL, "headers": headers}}})
    assert problem == Problem(
        "webhooks.ci.headers.Authorization",
        "[secret]",
        "expected one line of ASCII, without spaces around it",
        "pulumi config set --path --secret webhooks.ci.headers.Authorization",
    )


def test_an_unknown_action_is_refused() -> None:
    (problem,) = problems({**GOOD, "webhooks": {"ci": {"url": URL, "actions": ["pushed"]}}})
    assert problem.key == "webhooks.ci.actions[0]"
