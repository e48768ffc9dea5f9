"""Where the hostname should lead, and what is said where it does not."""

from __future__ import annotations

import socket
from typing import Any
from unittest import mock

import pulumi
import pytest

from preflight import addresses
from preflight.addresses import controller_addresses, dns_addresses, misled, resolve
from preflight.cluster import INGRESSES, Cluster
from preflight.errors import NotReadyError
from settings import Settings, SettingsError
from settings.problems import Problem
from settings.schema import IngressSettings
from tests.unit.conftest import Golden
from tests.unit.program.modes import MODES

HOST = "registry.example.com"
CLUSTER = Cluster("", ())


def status(*ips: str) -> dict[str, Any]:
    return {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}


def ingress(class_name: str, *ips: str) -> dict[str, Any]:
    return {"spec": {"ingressClassName": class_name}, "status": status(*ips)}


def service(port: int, *ips: str) -> dict[str, Any]:
    return {"spec": {"ports": [{"port": port}]}, "status": status(*ips)}


@pytest.mark.parametrize(
    ("ingresses", "services", "expected"),
    [
        ([ingress("traefik", "2.2.2.2", "1.1.1.1")], [], ["1.1.1.1", "2.2.2.2"]),
        ([ingress("traefik", "1.1.1.1")] * 2, [service(443, "3.3.3.3")], ["1.1.1.1"]),
        ([ingress("other", "1.1.1.1")], [service(443, "3.3.3.3")], ["3.3.3.3"]),
        ([ingress("traefik")], [service(443, "3.3.3.3"), service(53, "4.4.4.4")], ["3.3.3.3"]),
        ([{"spec": {}}], [{"spec": {"ports": [{"port": 443}]}, "status": {}}], []),
        ([{"spec": {}}], [{"spec": {}, "status": {"loadBalancer": {}}}], []),
        ([{"spec": {"ingressClassName": "traefik"}}], [], []),
    ],
)
def test_the_status_of_an_ingress_goes_before_that_of_the_controllers_service(
    ingresses: list[dict[str, Any]], services: list[dict[str, Any]], expected: list[str]
) -> None:
    assert controller_addresses(IngressSettings(), ingresses, services) == expected


def test_a_balancer_with_a_name_instead_of_an_address_has_none() -> None:
    item = {"spec": {"ingressClassName": "traefik"}}
    item["status"] = {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}]}}  # type: ignore[dict-item]
    assert controller_addresses(IngressSettings(), [item], []) == []


def test_a_gateways_addresses_are_those_of_its_load_balancer() -> None:
    """k3s' Traefik may be there, too, and its Ingresses lead elsewhere."""
    ingress = IngressSettings.model_validate(MODES["ingress-gateway"]["ingress"])
    traefiks = {"spec": {"ingressClassName": "traefik"}, "status": status("1.1.1.1")}
    assert controller_addresses(ingress, [traefiks], [service(443, "2.2.2.2")]) == ["2.2.2.2"]


def dns(monkeypatch: pytest.MonkeyPatch, *ips: str, **settings: Any) -> list[str]:
    """Return the addresses for records, where the ingress controller tells some."""

    def items(_: Cluster, path: str) -> list[dict[str, Any]]:
        services = [service(443, *ips)] if path.endswith("/kube-system/services") else []
        return [ingress("traefik")] if path == INGRESSES else services

    monkeypatch.setattr(Cluster, "items", items)
    return dns_addresses(Settings.model_validate({"hostname": HOST, "dns": settings}), CLUSTER)


def test_a_zone_gets_the_addresses_that_the_controller_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert dns(monkeypatch, "1.1.1.1", zone="example.com") == ["1.1.1.1"]


def test_addresses_that_are_given_go_before_those_and_may_be_private(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = dns(monkeypatch, "1.1.1.1", zone="example.com", addresses=["10.0.0.1"])
    assert addresses == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("ips", "expected", "fix"),
    [
        ((), "tells none yet", "pulumi config set --path 'dns.addresses[0]'"),
        (
            ("1.1.1.1", "10.0.0.1", "10.0.0.2"),
            "not everybody reaches: 10.0.0.1, 10.0.0.2",
            "pulumi config set --path 'dns.addresses[0]' 1.1.1.1",
        ),
        (
            ("10.0.0.1", "10.0.0.2"),
            "not everybody reaches: 10.0.0.1, 10.0.0.2",
            "pulumi config set --path 'dns.addresses[0]' 10.0.0.1 && "
            "pulumi config set --path 'dns.addresses[1]' 10.0.0.2",
        ),
    ],
)
def test_addresses_are_asked_for_unless_everybody_reaches_all_that_the_controller_tells(
    monkeypatch: pytest.MonkeyPatch, ips: tuple[str, ...], expected: str, fix: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        dns(monkeypatch, *ips, zone="example.com")
    *_, key, problem, correction = str(refused.value).splitlines()
    assert key == "  dns.addresses = (not set)"
    assert problem.endswith(expected)
    assert correction == f"      fix: {fix}"


def test_a_hostname_that_leads_elsewhere_is_shown_in_one_line_with_its_fix(golden: Golden) -> None:
    ours, others = ["1.1.1.1", "2.2.2.2"], ["8.8.8.8", "9.9.9.9"]
    assert not misled(HOST, ["1.1.1.1"], ours)
    assert not misled(HOST, others, [])
    lines = [misled(HOST, resolved, to) for resolved, to in (([], ours), ([], []), (others, ours))]
    golden("misled.txt", "\n".join(lines))


def test_without_a_zone_it_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", {HOST: ["9.9.9.9"]}.__getitem__)
    with mock.patch.object(pulumi.log, "warn") as warn:
        assert dns(monkeypatch, "1.1.1.1") == []
        assert dns(monkeypatch, "9.9.9.9") == []
        assert dns(monkeypatch, "1.1.1.1", addresses=["9.9.9.9"]) == []
    (message,) = [call.args[0] for call in warn.call_args_list]
    assert message == misled(HOST, ["9.9.9.9"], ["1.1.1.1"])


@pytest.mark.parametrize("zone", ["example.com", None])
def test_a_cluster_that_cannot_be_asked_is_an_error_in_up_only(
    monkeypatch: pytest.MonkeyPatch, zone: str | None
) -> None:
    problem = Problem("kubernetes:kubeconfig", "", "expected a cluster", "fix")

    def items(*_: object) -> list[dict[str, Any]]:
        raise NotReadyError(problem)

    monkeypatch.setattr(Cluster, "items", items)
    settings = Settings.model_validate({"hostname": HOST, "dns": {"zone": zone}})
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    with pytest.raises(SettingsError) as refused:
        dns_addresses(settings, CLUSTER)
    assert str(refused.value) == str(SettingsError(problem))
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    with mock.patch.object(pulumi.log, "warn") as warn:
        assert dns_addresses(settings, CLUSTER) == []
    # Without a zone, preflight has already said that the cluster was not asked.
    warning = "no DNS records are shown: the cluster does not tell its addresses"
    assert [call.args[0] for call in warn.call_args_list] == ([warning] if zone else [])


def test_a_name_resolves_to_each_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(hostname: str, port: None, type: socket.SocketKind) -> list[Any]:  # noqa: A002 - its name
        assert (port, type) == (None, socket.SOCK_STREAM)
        if hostname != HOST:
            raise socket.gaierror("Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in ("2.2.2.2", "1.1.1.1", "2.2.2.2")]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert resolve(HOST) == ["1.1.1.1", "2.2.2.2"]
    assert resolve("other.example.com") == []
