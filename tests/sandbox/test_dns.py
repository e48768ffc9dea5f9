"""DNS records in a domain of the account, and what is said of a hostname that leads elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sandbox.helpers import Sandbox


@pytest.fixture(autouse=True)
def unset(sandbox: Sandbox) -> Iterator[None]:
    """Remove the section, and the records, at the end."""
    yield
    sandbox.pulumi("config", "rm", "--path", "dns")
    sandbox.pulumi("up", "--yes", "--skip-preview")
    assert records(sandbox) == []


def records(sandbox: Sandbox) -> list[dict[str, Any]]:
    listed = sandbox.api("GET", f"domains/{sandbox.layout.domain}/records")
    records: list[dict[str, Any]] = listed["domain_records"]
    return records


def test_the_hostname_gets_the_addresses_that_are_given(sandbox: Sandbox) -> None:
    node = sandbox.layout.node_ip
    sandbox.config(dns__zone=sandbox.layout.domain)
    refused = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True)
    output = refused.stdout + refused.stderr
    assert f"addresses that not everybody reaches: {node}" in output, output
    fix = next(line for line in output.splitlines() if "fix: pulumi" in line).partition("fix: ")[2]
    assert records(sandbox) == []
    sandbox.run(*shlex.split(fix))
    sandbox.pulumi("up", "--yes", "--skip-preview")
    (record,) = records(sandbox)
    assert (record["type"], record["name"], record["data"]) == ("A", "registry", node)
    sandbox.pulumi("preview", "--expect-no-changes")
    sandbox.config(**{"dns__addresses[0]": "203.0.113.10", "dns__addresses[1]": "2001:db8::10"})
    sandbox.pulumi("up", "--yes", "--skip-preview")
    targets = {(record["type"], record["data"]) for record in records(sandbox)}
    assert targets == {("A", "203.0.113.10"), ("AAAA", "2001:db8::10")}


def test_a_domain_of_somebody_else_is_told_before_anything_changes(sandbox: Sandbox) -> None:
    sandbox.config(**{"dns__zone": sandbox.registry, "dns__addresses[0]": "203.0.113.10"})
    refused = sandbox.pulumi("up", "--yes", "--skip-preview", fails=True)
    assert "expected a domain of this DigitalOcean account" in refused.stdout + refused.stderr


def test_a_hostname_that_leads_elsewhere_is_a_warning(sandbox: Sandbox) -> None:
    preview = sandbox.pulumi("preview")
    assert "leads to" not in preview.stdout + preview.stderr
    sandbox.config(**{"dns__addresses[0]": "203.0.113.10"})
    preview = sandbox.pulumi("preview")
    output = preview.stdout + preview.stderr
    expected = (
        f"{sandbox.registry} leads to {sandbox.layout.node_ip}, and the ingress controller is "
        "at 203.0.113.10"
    )
    assert expected in output, output
