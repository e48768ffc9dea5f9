"""The rendered texts, against goldens."""

from __future__ import annotations

from pathlib import Path

import bcrypt
import pytest
import yaml

from components.credentials import htpasswd_line
from components.ingress.upload_timeout import traefik_patch, traefik_values, upload_limit
from components.registry.config import credentials_file, registry_config
from outputs import readme
from scripts.s3 import Bucket, Key

GOLDEN = Path(__file__).parent / "golden"
SALT = "AAECAwQFBgcICQoLDA0ODw=="


def test_the_registrys_configuration_is_the_golden_one() -> None:
    text = registry_config(
        endpoint="https://nyc3.digitaloceanspaces.com",
        region="nyc3",
        bucket="registry-a1b2c3d4",
        path_style=True,
        root_directory="",
        http_secret="00ff",
    )
    assert text == (GOLDEN / "config.yml").read_text()


def test_another_store_is_spoken_to_as_it_wants() -> None:
    text = registry_config(
        endpoint="http://minio:9000",
        region="r",
        bucket="b",
        path_style=False,
        root_directory="images",
        http_secret="0",
    )
    s3 = yaml.safe_load(text)["storage"]["s3"]
    assert s3["secure"] is False, "a store without TLS is not spoken to with TLS"
    assert s3["forcepathstyle"] is False
    assert s3["rootdirectory"] == "/images"


@pytest.mark.parametrize("path_style", [True, False])
def test_the_store_is_watched_by_the_request_that_the_storage_check_has_tried(
    path_style: bool,
) -> None:
    endpoint = "https://s3.eu-central-1.amazonaws.com"
    text = registry_config(
        endpoint=endpoint,
        region="eu-central-1",
        bucket="images",
        path_style=path_style,
        root_directory="",
        http_secret="0",
    )
    (watch,) = yaml.safe_load(text)["health"]["http"]
    bucket = Bucket(endpoint, "eu-central-1", "images", path_style, Key("", ""))
    assert watch["uri"] == bucket.url(), "or the registry would never become ready"


def test_the_credentials_file_is_the_golden_one() -> None:
    assert credentials_file("DO00EXAMPLE", "s3cr3t") == (GOLDEN / "credentials").read_text()


@pytest.mark.parametrize("created", [True, False])
def test_the_readme_is_the_golden_one(created: bool) -> None:
    text = readme(
        hostname="registry.example.com",
        admin="admin",
        pull="pull",
        image_prefix="example.com",
        tls=True,
        upload_limit=upload_limit() if created else "",
        bucket="registry-a1b2c3d4",
        created=created,
    )
    assert text == (GOLDEN / f"readme-{'space' if created else 'bucket'}.md").read_text()


def test_the_htpasswd_line_is_the_golden_one() -> None:
    assert htpasswd_line("admin", "Passw0rd", SALT) == (GOLDEN / "htpasswd").read_text()


def test_the_hash_is_of_the_password_and_costs_little_at_each_request() -> None:
    user, hashed = htpasswd_line("admin", "Passw0rd", SALT).rstrip("\n").split(":")
    assert user == "admin"
    assert hashed.startswith("$2b$05$"), "cost 10 makes a push of 20 layers 7 times slower"
    assert bcrypt.checkpw(b"Passw0rd", hashed.encode())
    assert not bcrypt.checkpw(b"passw0rd", hashed.encode())


@pytest.mark.parametrize("filler", [b"\x00", b"\xff", b"\x3e", b"\x3f"])
def test_every_salt_gives_a_hash_that_verifies(filler: bytes) -> None:
    import base64

    line = htpasswd_line("a", "b", base64.b64encode(filler * 16).decode())
    assert bcrypt.checkpw(b"b", line.rstrip("\n").split(":")[1].encode())


def test_the_same_salt_gives_the_same_line_and_another_one_another() -> None:
    first = htpasswd_line("admin", "x", SALT)
    assert first == htpasswd_line("admin", "x", SALT), "a second `up` must change nothing"
    assert first != htpasswd_line("admin", "x", "D" + SALT[1:])


def test_the_values_for_traefik_are_the_golden_ones() -> None:
    assert traefik_values("websecure", 600) == (GOLDEN / "traefik-values.yaml").read_text()


def test_the_patch_for_somebody_elses_traefik_is_the_golden_one() -> None:
    assert traefik_patch("websecure", 600) == (GOLDEN / "traefik-patch.txt").read_text()


def test_the_upload_limit_is_what_an_uplink_carries_in_a_minute() -> None:
    assert upload_limit() == (GOLDEN / "upload-limit.txt").read_text().rstrip("\n")
