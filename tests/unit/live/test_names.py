"""What is a run's follows from names, and nothing else is."""

from __future__ import annotations

import pytest

from live.names import PROJECT, Run
from tests.unit.test_template import ROOT

RUN = Run("k3s-registry-live-0123456789")
OTHER = "k3s-registry-live-012345678a"


@pytest.mark.parametrize(
    "name",
    [
        *("", "k3s-registry-live-", "k3s-registry-live-01234567", "k3s-registry-live-012345678Z"),
        *(
            "k3s-registry-live-0123456789a",
            "my-k3s-registry-live-0123456789",
            "k3s-registry-live-*",
        ),
    ],
)
def test_a_name_that_is_no_runs_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected k3s-registry-live- and 10 hexadecimal digits"):
        Run(name)


def test_two_runs_have_different_names() -> None:
    assert Run.new() != Run.new()


def test_a_space_is_the_runs_by_its_prefix_and_a_suffix_as_the_program_makes_it() -> None:
    assert RUN.has_space(f"{RUN.name}-abcd1234")
    for other in (f"{OTHER}-abcd1234", RUN.name, f"{RUN.name}-abcd12345", f"x{RUN.name}-abcd1234"):
        assert not RUN.has_space(other)
    assert not RUN.has_space(f"{RUN.name}-archive-1")


def test_keys_are_the_runs_by_their_names() -> None:
    hostname = RUN.hostname("203.0.113.4", "sslip.io")
    assert hostname == "k3s-registry-live-0123456789.203-0-113-4.sslip.io"
    for name in (hostname, RUN.cleaning_key, f"{PROJECT}-{RUN.name}-bootstrap"):
        assert RUN.has_spaces_key(name)
    for name in (
        *(f"{OTHER}.203-0-113-4.sslip.io", f"{PROJECT}-{OTHER}-bootstrap", "registry.example.com"),
        *(f"{RUN.name}0.example.com", f"{RUN.name}-backup", RUN.name),
    ):
        assert not RUN.has_spaces_key(name)


def test_the_projects_name_is_that_of_the_program() -> None:
    assert f"name: {PROJECT}\n" in (ROOT / "Pulumi.yaml").read_text()


def test_a_droplet_is_the_runs_by_name_and_tag() -> None:
    assert RUN.has_droplet({"name": RUN.name, "tags": ["other", RUN.name]})
    assert not RUN.has_droplet({"name": RUN.name, "tags": ["other"]})
    assert not RUN.has_droplet({"name": "other", "tags": [RUN.name]})
