"""The rendered texts, against goldens."""

from __future__ import annotations

import re

import pytest
import yaml
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from components.credentials import hash_password
from components.registry.config import (
    LOCAL_URL,
    PUBLIC_URL,
    credentials_file,
    registry_config,
)
from outputs import readme
from settings.schema import WebhookSettings
from tests.unit.conftest import Golden

SALT = "AAECAwQFBgcICQoLDA0ODw=="


@pytest.mark.parametrize(("file", "memory"), [("config.yml", True), ("manifests.yml", False)])
def test_the_registries_configurations_are_the_golden_ones(
    golden: Golden, file: str, memory: bool
) -> None:
    text = registry_config(
        memory=memory,
        endpoint="https://nyc3.digitaloceanspaces.com",
        region="nyc3",
        bucket="registry-a1b2c3d4",
        path_style=True,
        root_directory="",
        redirect=False,
        http_secret="00ff",
        webhooks={},
        metrics=False,
    )
    golden(file, text)


def test_what_the_two_registries_of_a_pod_share_and_what_not() -> None:
    webhook = WebhookSettings.model_validate({"url": "https://ci.example.com/"})
    registry, manifests = (
        yaml.safe_load(
            registry_config(
                memory=memory,
                endpoint="https://s3.example.com",
                region="r",
                bucket="b",
                path_style=True,
                root_directory="",
                redirect=False,
                http_secret="0",
                webhooks={"ci": webhook},
                metrics=True,
            )
        )
        for memory in (True, False)
    )
    assert "cache" not in manifests["storage"], "another pod's delete would not be noticed"
    assert registry["storage"]["cache"]["blobdescriptor"] == "inmemory"
    assert manifests["storage"]["delete"]["enabled"], "clients delete manifests"
    assert registry["storage"]["delete"]["enabled"], "the maintenance makes it forget"
    purging = [
        x["storage"]["maintenance"]["uploadpurging"]["enabled"] for x in (registry, manifests)
    ]
    assert purging == [True, False], "each purge lists all repositories"
    assert registry["notifications"] == manifests["notifications"], "both take pushes"
    indexes = [x["validation"]["manifests"]["indexes"]["platforms"] for x in (registry, manifests)]
    assert indexes == ["none", "all"], "the first gets indexes of layers only"
    addresses = {x["http"]["addr"] for x in (registry, manifests)}
    addresses |= {x["http"]["debug"]["addr"] for x in (registry, manifests)}
    assert len(addresses) == 4, "they share one network"


def test_each_storage_gets_requests_in_its_own_form() -> None:
    text = registry_config(
        memory=True,
        endpoint="http://minio:9000",
        region="r",
        bucket="b",
        path_style=False,
        root_directory="images",
        redirect=True,
        http_secret="0",
        webhooks={},
        metrics=False,
    )
    s3 = yaml.safe_load(text)["storage"]["s3"]
    assert s3["secure"] is False, "no TLS where the storage has none"
    assert s3["forcepathstyle"] is False
    assert s3["rootdirectory"] == "/images"
    assert yaml.safe_load(text)["storage"]["redirect"] == {"disable": False}


def test_the_credentials_file_is_the_golden_one(golden: Golden) -> None:
    golden("credentials", credentials_file("DO00EXAMPLE", "s3cr3t"))


@pytest.mark.parametrize("on_destroy", ["protect", "retain", "delete"])
def test_the_readme_is_the_golden_one(golden: Golden, on_destroy: str) -> None:
    text = readme(
        hostname="registry.example.com",
        admin="admin",
        pull="pull",
        image_prefix="example.com",
        one_minute=on_destroy == "protect",
        bucket="registry-a1b2c3d4",
        on_destroy=on_destroy,
    )
    golden(f"readme-{on_destroy}.md", text)


def test_the_hash_is_of_the_password_and_costs_little_at_each_request() -> None:
    hashed = hash_password("Passw0rd", SALT)
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$")
    Argon2id.verify_phc_encoded(b"Passw0rd", hashed)
    assert hashed == hash_password("Passw0rd", SALT), "a second `up` must change nothing"


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://mcr.microsoft.com/v2/windows/servercore/blobs/sha256:00", True),
        ("HTTP://Go.Microsoft.com:8080", True),
        *((f"http://{host}/", False) for host in (
            *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "10.0.0.1"),
            *("[fe80::1]", "[::ffff:169.254.169.254]", "localhost", "127.1", "169.254.0xa9fe"),
            *("a.example.com@169.254.169.254", "example.com?@169.254.169.254", "registry"),
            *("registry.registry.svc", "registry.registry.svc:5000", "a.svc.cluster.local"),
            *("metadata.google.internal", "METADATA.google.INTERNAL", "example.com.", "a..com"),
            *("example.com\\\\@10.0.0.1", "example.com\n10.0.0.1"),
        )),
        ("file:///etc/passwd", False),
        ("x https://example.com/", False),
    ],
)  # fmt: skip
def test_a_layer_elsewhere_is_on_a_host_with_a_public_name(url: str, taken: bool) -> None:
    """Whoever pulls it gets it from there, within the own network: a cloud's credentials."""
    assert bool(re.search(PUBLIC_URL, url) and not re.search(LOCAL_URL, url)) == taken
