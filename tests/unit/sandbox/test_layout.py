"""How a sandbox comes by its number."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from sandbox.layout import Layout, NumberTakenError, Route, claim, overlap


def route(network: str, interface: str = "eth0") -> Route:
    return Route(IPv4Network(network), interface)


def test_the_lowest_number_without_a_route_is_taken_and_kept(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    routes = [route("10.77.0.0/24"), route("10.77.1.7/32", "tun0"), route("192.0.2.0/24")]
    assert claim(tmp_path, "sandbox", routes, claims).number == 2
    assert claim(tmp_path, "sandbox", [], claims).number == 2


def test_only_routes_through_other_interfaces_overlap() -> None:
    layout = Layout(Path("/"), "sandbox", 0)
    own = [route("10.77.0.0/24", "sandbox0"), route("10.77.0.255/32", "sandbox0")]
    assert not overlap(layout, [*own, route("10.77.1.0/24", "vpn")])
    others = [*own, route("10.77.0.0/16", "vpn")]
    assert overlap(layout, others) == "10.77.0.0/24 overlaps 10.77.0.0/16 on vpn"


def test_two_sandboxes_have_two_numbers_before_either_is_up(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    assert claim(tmp_path, "sandbox-a", [], claims).number == 0
    assert claim(tmp_path, "sandbox-b", [], claims).number == 1


def test_a_claim_whose_sandbox_is_gone_is_free_again(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    gone = claim(tmp_path, "sandbox-a", [], claims)
    (gone.state / "number").unlink()
    assert claim(tmp_path, "sandbox-b", [], claims).number == 0


def test_a_route_that_appears_later_does_not_keep_a_sandbox_from_being_stopped(
    tmp_path: Path,
) -> None:
    claims = tmp_path / "claims"
    claim(tmp_path, "sandbox", [], claims)
    assert claim(tmp_path, "sandbox", [route("10.77.0.0/16", "vpn")], claims).number == 0


def test_a_claim_lost_by_a_reboot_is_not_another_sandboxs_to_keep(tmp_path: Path) -> None:
    claims = tmp_path / "claims"
    claim(tmp_path, "sandbox-a", [], claims)
    (claims / "0").unlink()
    claim(tmp_path, "sandbox-b", [], claims)
    with pytest.raises(NumberTakenError, match=r"belongs to the sandbox in .*sandbox-b.*rm -r "):
        claim(tmp_path, "sandbox-a", [], claims)


def test_no_number_left_says_what_is_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(NumberTakenError, match=r"overlaps 10\.0\.0\.0/8 on vpn"):
        claim(tmp_path, "sandbox", [route("10.0.0.0/8", "vpn")], tmp_path / "claims")
