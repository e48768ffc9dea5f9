"""The node's configuration and processes, its certificates and its cgroup."""

from __future__ import annotations

import json
import shutil
import ssl
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sandbox import pki
from sandbox.build import images
from sandbox.enclosure import cgroups
from sandbox.k3s import coredns, traefik
from sandbox.k3s.manifests import manifests
from sandbox.layout import Layout
from sandbox.node import config, processes


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path, "sandbox", 7)


def test_no_process_has_a_secret_in_its_arguments(layout: Layout) -> None:
    config.write(layout)
    tokens = [
        line.split(",")[0]
        for line in config.file(layout.node, "tokens.csv").read_text().splitlines()
    ]
    arguments = " ".join(x for process in processes.processes(layout) for x in process.argv)
    assert len(set(tokens)) == len(tokens) > 0
    assert not any(token in arguments for token in tokens)


def test_only_the_owner_can_read_what_is_secret(layout: Layout) -> None:
    config.write(layout)
    folder = layout.node.folder / "config"
    secret = [layout.kubeconfig, *folder.glob("*.kubeconfig"), *layout.pki.glob("*.key")]
    for path in [*secret, folder / "tokens.csv"]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_configuring_again_changes_no_secret(layout: Layout) -> None:
    config.write(layout)
    first = {x: x.read_bytes() for x in layout.state.rglob("*") if x.is_file()}
    config.write(layout)
    assert {x: x.read_bytes() for x in layout.state.rglob("*") if x.is_file()} == first


def test_every_process_stops_after_those_that_need_it(layout: Layout) -> None:
    stop = {x.name: x.stop for x in processes.processes(layout)}
    assert stop["kubelet"] < stop["kube-apiserver"] < stop["etcd"]


def test_two_nodes_share_no_name_no_folder_no_cgroup_and_no_pod_address(layout: Layout) -> None:
    """Two kubelets in one cgroup kill each other's pods; two pods may not have one address."""
    config.write(layout)
    config.write_node(layout, layout.second_node)
    first, second = (
        {
            "processes": {x.name for x in processes.agent(layout, node)},
            "cgroup": {json.loads(config.file(node, "kubelet.json").read_text())["cgroupRoot"]},
            "name": {json.loads(config.file(node, "proxy.json").read_text())["hostnameOverride"]},
            "pods": {
                json.dumps(json.loads(config.file(node, "cni/10-bridge.conflist").read_text()))
            },
            "user": {config.file(node, "kubelet.kubeconfig").read_text()},
            "containerd": {config.file(node, "containerd.toml").read_text()},
        }
        for node in (layout.node, layout.second_node)
    )
    for what, value in first.items():
        assert value.isdisjoint(second[what]), what
    text = config.file(layout.second_node, "containerd.toml").read_text()
    assert f"{layout.node.folder}/" not in text


def test_pods_keep_their_addresses_among_nodes(layout: Layout) -> None:
    """Network policies would see a node's address instead, and refuse."""
    config.write(layout)
    plugins = json.loads(config.file(layout.node, "cni/10-bridge.conflist").read_text())["plugins"]
    assert not any(plugin.get("ipMasq") for plugin in plugins)
    cidr = json.loads(config.file(layout.node, "proxy.json").read_text())["clusterCIDR"]
    for node in (layout.node, layout.second_node):
        assert IPv4Network(node.pods).subnet_of(IPv4Network(cidr))


def test_the_service_has_each_nodes_address_and_kube_proxy_only_the_second_ones(
    layout: Layout,
) -> None:
    """Of the first one's, host ports keep the clients' addresses."""
    status = traefik.addresses([layout.node, layout.second_node])["status"]["loadBalancer"]
    modes = {x["ip"]: x["ipMode"] for x in status["ingress"]}
    assert modes == {layout.node.ip: "Proxy", layout.second_node.ip: "VIP"}


def test_a_certificate_is_for_its_names_and_trusted_by_the_bundle(tmp_path: Path) -> None:
    pki.authority(tmp_path)
    certificate, key = pki.issue(tmp_path, "web", "a.test", "10.0.0.1")
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test"]
    assert key.stat().st_mode & 0o777 == 0o600
    trust = ssl.create_default_context(cafile=tmp_path / "bundle.crt")
    assert trust.cert_store_stats()["x509_ca"] >= 1
    before = certificate.read_bytes()
    assert pki.issue(tmp_path, "web", "a.test", "10.0.0.1")[0].read_bytes() == before
    assert pki.issue(tmp_path, "web", "b.test")[0].read_bytes() != before


def test_a_certificate_without_names_is_replaced(tmp_path: Path) -> None:
    pki.authority(tmp_path)
    # The authority has signed it, as earlier versions did for clients.
    shutil.copy(tmp_path / "ca.crt", tmp_path / "web.crt")
    shutil.copy(tmp_path / "ca.key", tmp_path / "web.key")
    certificate, _ = pki.issue(tmp_path, "web", "a.test")
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName)


def test_the_corefile_knows_the_sandboxs_names_and_nothing_else_outside() -> None:
    assert coredns.corefile({"registry.sandbox-7.test": "10.77.7.2"}) == (
        """\
cluster.local:53 in-addr.arpa:53 ip6.arpa:53 {
  errors
  ready :8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
  }
}
.:53 {
  errors
  hosts {
    10.77.7.2 registry.sandbox-7.test
    fallthrough
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
"""
    )


def test_traefik_keeps_its_own_read_timeout_as_in_k3s() -> None:
    assert not [
        x for x in traefik.arguments("https://acme.test:14000/dir") if "timeout" in x.lower()
    ]


def test_what_the_cluster_runs_has_its_image_already(layout: Layout) -> None:
    pki.authority(layout.pki)
    items: list[dict[str, Any]] = manifests(layout)["items"]
    refs = {x.ref for x in images.IMAGES.values()}
    for item in (x for x in items if x["kind"] == "Deployment"):
        for container in item["spec"]["template"]["spec"]["containers"]:
            assert container["image"] in refs
            assert container["imagePullPolicy"] == "Never"
    json.dumps(items)


def test_a_cgroup_of_version_1_is_in_every_hierarchy_with_cpus_and_memory(tmp_path: Path) -> None:
    for name in ("cpu", "cpuset"):
        (tmp_path / name).mkdir()
    for setting in ("cpus", "mems"):
        (tmp_path / "cpuset" / f"cpuset.{setting}").write_text("0-1\n")
        # As the kernel makes it; a plain folder has no files of its own.
    cgroups.create("group", tmp_path)
    assert (tmp_path / "cpu" / "group").is_dir()
    assert (tmp_path / "cpuset" / "group" / "cpuset.cpus").read_text() == "0-1\n"


def test_a_cgroup_of_version_2_gets_every_controller_and_goes_with_its_children(
    tmp_path: Path,
) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    cgroups.create("group", tmp_path)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    (tmp_path / "group" / "pods" / "pod1").mkdir(parents=True)
    cgroups.remove("group", tmp_path)
    assert not (tmp_path / "group").exists()
    cgroups.remove("group", tmp_path)
