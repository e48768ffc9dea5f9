"""Where the hostname should lead, and what is said where it does not."""

from __future__ import annotations

import re
import socket
from typing import Any
from unittest import mock

import pulumi
import pytest

from preflight import addresses
from preflight.addresses import controller_addresses, dns_addresses, misled, resolve
from preflight.cluster import Cluster
from preflight.errors import NotReadyError
from settings import Settings, SettingsError
from settings.problems import Problem
from settings.schema import IngressSettings

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


def dns(monkeypatch: pytest.MonkeyPatch, *ips: str, **settings: Any) -> list[str]:
    """Return the addresses for records, where the ingress controller tells some."""

    def items(_: Cluster, path: str) -> list[dict[str, Any]]:
        return [service(443, *ips)] if path.endswith("/kube-system/services") else []

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
            "pulumi config set --path 'dns.addresses[0]' 10.0.0.1 && "
            "pulumi config set --path 'dns.addresses[1]' 10.0.0.2",
        ),
    ],
)
def test_addresses_are_asked_for_where_the_controller_tells_none_for_everybody(
    monkeypatch: pytest.MonkeyPatch, ips: tuple[str, ...], expected: str, fix: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        dns(monkeypatch, *ips, zone="example.com")
    *_, key, problem, correction = str(refused.value).splitlines()
    assert key == "  dns.addresses = (not set)"
    assert problem.endswith(expected)
    assert correction == f"      fix: {fix}"


@pytest.mark.parametrize(
    ("resolved", "to", "pattern"),
    [
        (["1.1.1.1"], ["1.1.1.1", "2.2.2.2"], ""),
        (["9.9.9.9"], [], ""),
        (
            [],
            ["1.1.1.1", "2.2.2.2"],
            "registry.example.com does not resolve on this machine: add a DNS record that leads "
            "it to 1.1.1.1 and 2.2.2.2; .*pulumi config set --path dns.zone example.com",
        ),
        ([], [], ".*leads it to the ingress controller; .*"),
        (
            ["9.9.9.9"],
            ["1.1.1.1"],
            "registry.example.com leads to 9.9.9.9, and the ingress controller is at 1.1.1.1: "
            r".*pulumi config set --path 'dns.addresses\[0\]' 9.9.9.9",
        ),
    ],
)
def test_a_hostname_that_leads_elsewhere_is_told_in_one_line_with_its_fix(
    resolved: list[str], to: list[str], pattern: str
) -> None:
    assert re.fullmatch(pattern, misled(HOST, resolved, to))


def test_without_a_zone_it_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda _: ["9.9.9.9"])
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
    assert str(refused.value) == str(SettingsError([problem]))
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    with mock.patch.object(pulumi.log, "warn") as warn:
        assert dns_addresses(settings, CLUSTER) == []
    assert warn.call_count == (1 if zone else 0), "preflight says already that it was not asked"


def test_a_name_resolves_to_each_address_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(hostname: str, *_: object, **__: object) -> list[Any]:
        if hostname != HOST:
            raise socket.gaierror("Name or service not known")
        return [(0, 0, 0, "", (address, 0)) for address in ("2.2.2.2", "1.1.1.1", "2.2.2.2")]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert resolve(HOST) == ["1.1.1.1", "2.2.2.2"]
    assert resolve("other.example.com") == []
