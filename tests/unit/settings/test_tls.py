"""The CA of clients: certificates in PEM, and nothing else."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.unit.settings.helpers import GOOD, load_stack, loaded, problems
from tests.unit.settings.pulumi_config import PulumiConfig

FRAME = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def issue(name: str) -> tuple[str, str]:
    """Return a CA's certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()


ONE, KEY = issue("one")
TWO, _ = issue("two")


@pytest.mark.parametrize("pem", [ONE, ONE + TWO, f"\nCA one:\n{ONE}", ONE.replace("\n", "\r\n")])
def test_certificates_are_taken(pem: str) -> None:
    tls = loaded({**GOOD, "tls": {"clientCa": pem}})[0].tls
    assert tls.mode != "none"
    assert tls.client_ca == pem


@pytest.mark.parametrize(
    "pem",
    [
        FRAME.format("cnViYmlzaA=="),
        FRAME.format("rub bish!"),
        ONE + FRAME.format("cnViYmlzaA=="),
        ONE[:-60],
        ONE.replace("\n", " "),
        f"é{ONE}",
        "no PEM",
        "MIIBszCCAVmg/AwIBAgIU+x==",
        ONE + KEY,
        KEY,
    ],
)
def test_what_no_certificate_can_be_read_from_is_refused(pem: str) -> None:
    (problem,) = problems({**GOOD, "tls": {"clientCa": pem}})
    assert problem.key == "tls.clientCa"
    assert problem.expected.startswith("expected one or more certificates in PEM")
    assert problem.fix == "pulumi config set --path tls.clientCa < ca.pem"
    assert "PRIVATE" not in problem.value


def test_the_path_of_a_file_is_taken_for_its_contents_by_the_fix() -> None:
    config = PulumiConfig({**GOOD, "tls": {"clientCa": "../ca.pem"}}, files={"../ca.pem": ONE})
    (problem,) = problems(config.values)
    config.run(problem.fix)
    assert config.values["tls"]["clientCa"] == ONE.rstrip("\n")
    load_stack(config)


def test_a_home_directory_is_found_by_any_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (problem,) = problems({**GOOD, "tls": {"clientCa": "~/ca.pem"}})
    assert problem.fix == "pulumi config set --path tls.clientCa < /home/me/ca.pem"
