"""configure_node.py writes what k3s reads, and says so only once k3s has read it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from scripts.nodes import configure_node
from scripts.nodes.configure_node import ConfigureError
from scripts.nodes.own_file import RefusedError
from tests.unit.scripts.leases import Leases, leases
from tests.unit.scripts.nodes import (
    ALREADY,
    DONE,
    ENTRIES,
    K3S,
    OWNER,
    WANTED,
    Node,
    Runs,
    node,
    run,
)

__all__ = ["leases", "node", "run"]

DROP_IN = "config.yaml.d/50-x.yaml"


def write(node: Node, path: str, text: str) -> Path:
    file = node.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("flags", "files"),
    [
        ("--private-registry=/etc/mine.yaml", {}),
        ("-private-registry /etc/mine.yaml --debug", {}),
        ("--private-registry /etc/first.yaml --private-registry /etc/mine.yaml", {}),
        ("--private-registry=/etc/mine.yaml", {f"{K3S}/config.yaml": "/etc/other.yaml"}),
        ("", {f"{K3S}/config.yaml": "/etc/mine.yaml"}),
        ("", {f"{K3S}/config.yaml": "/etc/other.yaml", f"{K3S}/{DROP_IN}": "/etc/mine.yaml"}),
        ("", {f"{K3S}/{DROP_IN}": "/etc/a.yaml", f"{K3S}/config.yaml.d/9.YML": "/etc/mine.yaml"}),
        ("--config /etc/k3s.yaml", {"etc/k3s.yaml": "/etc/mine.yaml"}),
        ("-c=/etc/k3s.yaml", {"etc/k3s.yaml.d/a.yaml": "/etc/mine.yaml"}),
    ],
)  # fmt: skip
def test_the_file_is_the_one_that_k3s_reads(
    node: Node, run: Runs, flags: str, files: dict[str, str]
) -> None:
    """Or nodes count as configured, and pull without a login."""
    node.flags, node.reads = flags, "etc/mine.yaml"
    for path, value in files.items():
        write(node, path, f"private-registry: {value}\n")
    assert run() == DONE
    assert (node.root / "etc" / "mine.yaml").read_bytes() == WANTED
    assert not node.registries.exists()
    assert run() == ALREADY
    assert run(None) == DONE
    assert not (node.root / "etc" / "mine.yaml").exists()


ENVIRONMENT = {
    "the unit": ('Environment=A=b "K3S_CONFIG_FILE=/etc/my k3s.yaml"\n', ""),
    "its file": ("", "# it's\nK3S_TOKEN='a b'\nK3S_CONFIG_FILE='/etc/my k3s.yaml'\n"),
    "its file, before the unit": (
        "Environment=K3S_CONFIG_FILE=/etc/other.yaml\n",
        'K3S_CONFIG_FILE="/etc/my k3s.yaml"\n',
    ),
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_the_environment_says_before_the_flag_where_the_configuration_is(
    node: Node, run: Runs, name: str
) -> None:
    node.environment, text = ENVIRONMENT[name]
    node.flags, node.reads = "--config=/etc/flag.yaml", "etc/mine.yaml"
    write(node, "etc/systemd/system/k3s.service.env", text)
    write(node, "etc/flag.yaml", "private-registry: /etc/other.yaml\n")
    write(node, "etc/my k3s.yaml", "private-registry: /etc/mine.yaml\n")
    assert run(only_mirrors=True) == DONE
    assert (node.root / "etc" / "mine.yaml").exists()
    assert (node.root / "etc" / "my k3s.yaml.d" / f"90-{OWNER}.yaml").exists()


def test_a_configuration_that_is_no_file_of_the_node_is_refused(node: Node, run: Runs) -> None:
    node.flags = "--config=https://example.com/k3s.yaml"
    with pytest.raises(
        RefusedError, match=r"^the configuration of k3s: https://.* no absolute path"
    ):
        run()


@pytest.mark.parametrize("path", ["mine.yaml", ""])
def test_a_registries_file_that_is_no_path_is_refused(node: Node, run: Runs, path: str) -> None:
    node.flags = f"--private-registry={path}"
    with pytest.raises(RefusedError, match=r"^the unit k3s: `private-registry`: .* absolute path"):
        run()


@pytest.mark.parametrize(
    ("flags", "text", "place"),
    [
        ("--docker", "", "the unit k3s"),
        ("--docker=true", "docker: false", "the unit k3s"),
        ("", "docker: true", f"/{K3S}/config.yaml"),
        ("--container-runtime-endpoint /run/x.sock", "", "the unit k3s"),
        ("", "container-runtime-endpoint: unix:///run/x.sock", f"/{K3S}/config.yaml"),
        ("--image-service-endpoint=/run/x.sock", "", "the unit k3s"),
    ],
)
def test_a_node_whose_containerd_is_not_that_of_k3s_is_refused(
    node: Node, leases: Leases, run: Runs, flags: str, text: str, place: str
) -> None:
    node.flags = flags
    write(node, f"{K3S}/config.yaml", text)
    with pytest.raises(RefusedError, match=f"^{place}: .*pull Secrets"):
        run()
    assert not node.registries.exists()
    assert not leases.calls
    assert run(None) == ALREADY, "what was written before can be removed"


@pytest.mark.parametrize("flags", ["--docker=false", "--container-runtime-endpoint="])
def test_options_that_are_off_are_no_obstacle(node: Node, run: Runs, flags: str) -> None:
    node.flags = flags
    write(node, f"{K3S}/config.yaml", "docker: true\ncontainer-runtime-endpoint: /run/x.sock\n")
    if flags == "--docker=false":
        write(node, f"{K3S}/{DROP_IN}", "container-runtime-endpoint:\n")
    else:
        write(node, f"{K3S}/{DROP_IN}", "docker: false\n")
    assert run() == DONE


def test_a_flag_that_would_undo_the_override_is_refused(node: Node, run: Runs) -> None:
    node.flags = "--disable-default-registry-endpoint=false"
    with pytest.raises(RefusedError, match=r"^the unit k3s: k3s reads it after .*90-registry"):
        run(only_mirrors=True)
    node.flags = "--disable-default-registry-endpoint"
    assert run(only_mirrors=True) == DONE


@pytest.mark.parametrize(
    "told",
    ["--data-dir=/data/k3s", "-d /data/k3s", "K3S_DATA_DIR=/data/k3s", "data-dir: /data/k3s"],
)
def test_containerd_is_where_k3s_keeps_its_data(node: Node, run: Runs, told: str) -> None:
    node.data = "data/k3s"
    if told.startswith("K3S"):
        node.environment = f"Environment={told}\n"
    elif told.startswith("-"):
        node.flags = told
    else:
        node.environment = "Environment=K3S_DATA_DIR=/other\n"
        write(node, f"{K3S}/config.yaml", told)
    assert run() == DONE


def test_a_file_that_k3s_has_not_read_yet_is_not_called_configured(node: Node, run: Runs) -> None:
    """The file says what k3s reads at its next start, and containerd's what holds now."""
    node.registries.write_bytes(WANTED)
    with pytest.raises(ConfigureError, match=r"has not read them, .*: systemctl restart k3s$"):
        run()
    assert node.restarts == 0, "an operator's change is an operator's restart"
    node.start()
    assert run() == ALREADY


def test_entries_that_were_added_to_a_file_must_be_read_too(node: Node, run: Runs) -> None:
    node.registries.write_text(yaml.safe_dump({"configs": ENTRIES["configs"]}))
    node.start()
    node.registries.write_text(yaml.safe_dump(ENTRIES))
    with pytest.raises(ConfigureError, match="has not read them"):
        run()


def test_a_login_that_does_not_reach_containerd_stops_the_others_and_restarts_k3s_once(
    node: Node, leases: Leases, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as from a script that starts k3s with flags of its own."""
    monkeypatch.setattr(configure_node, "LOADED_SECONDS", -1)
    node.reads = "etc/of-a-script.yaml"
    for _ in range(2):
        with pytest.raises(ConfigureError, match=r"k3s is back, but .* has no login"):
            run()
        assert leases.held, "the other nodes stay as they are"
        assert node.restarts == 1, "a pod that starts again and again must not restart k3s"
    node.reads = f"{K3S}/registries.yaml"
    node.start()
    assert run() == DONE
    assert leases.free
    assert node.restarts == 1


def test_what_is_written_after_a_restart_in_vain_is_another_restart(
    node: Node, run: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configure_node, "LOADED_SECONDS", -1)
    node.reads = "etc/of-a-script.yaml"
    with pytest.raises(ConfigureError):
        run()
    node.reads = f"{K3S}/registries.yaml"
    assert run(WANTED.replace(b"0123", b"4567").partition(b"\n")[2]) == DONE
    assert node.restarts == 2


TEMPLATE = "var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl"


def test_a_template_of_containerds_configuration_without_logins_is_refused(
    node: Node, run: Runs
) -> None:
    """k3s only logs a warning, and every node would restart in vain."""
    write(node, TEMPLATE, 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n')
    with pytest.raises(RefusedError, match=rf'^/{TEMPLATE}: .* begin it with .*template "base"'):
        run()
    assert not node.registries.exists()
    write(node, TEMPLATE.replace("config", "config-v3"), '{{ template "base" . }}\n')
    assert run() == DONE, "k3s takes the first one that there is"


@pytest.mark.parametrize("text", ["", '{{ template "base" . }}', "{{ .PrivateRegistryConfig }}"])
def test_other_templates_are_no_obstacle(node: Node, run: Runs, text: str) -> None:
    write(node, TEMPLATE, text)
    assert run() == DONE
