"""The ACME client of `tls.mode letsEncrypt`, with an ACME server that really validates."""

from __future__ import annotations

import datetime
import json
import ssl
from base64 import b64encode
from collections.abc import Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.sandbox.clients import send
from tests.sandbox.helpers import Sandbox, eventually
from tests.sandbox.test_ingress import acme_trust, serves

SECRET = "registry-acme"
CLIENT = "--selector=app.kubernetes.io/component=acme-client"

ISSUED_SECONDS = 180
"""How long a certificate may take, from the order until it is served."""


@pytest.fixture(scope="module")
def trust(sandbox: Sandbox, ssl_context: ssl.SSLContext) -> ssl.SSLContext:
    return acme_trust(sandbox, ssl_context)


@pytest.fixture(scope="module", autouse=True)
def lets_encrypt(sandbox: Sandbox, trust: ssl.SSLContext) -> Iterator[None]:
    """Configure the mode with the sandbox's ACME server, and wait for the certificate."""
    sandbox.config(
        tls__mode="letsEncrypt",
        tls__email="you@example.com",
        tls__caServer=sandbox.layout.acme_server,
        tls__caCertificates=(sandbox.layout.pki / "ca.crt").read_text(),
    )
    try:
        sandbox.pulumi("up", "--yes", "--skip-preview")
        eventually("the certificate is served", lambda: serves(sandbox, trust), ISSUED_SECONDS)
        yield
    finally:
        sandbox.pulumi("config", "rm", "--path", "tls")
        sandbox.pulumi("up", "--yes", "--skip-preview")
        sandbox.kubectl("delete", "secret", SECRET, "--namespace=registry", "--ignore-not-found")


def restart(sandbox: Sandbox) -> None:
    """Replace the ACME client's pod, and wait until the new one has started."""
    sandbox.kubectl("delete", "pod", CLIENT, "--namespace=registry")
    sandbox.kubectl("rollout", "status", "deployment/acme-client", "--namespace=registry")


def orders(sandbox: Sandbox) -> int:
    """Return how many certificates were asked for since the ACME server started."""
    return (sandbox.layout.logs / "acme.log").read_text().count("Issued certificate serial")


def expired_certificate(hostname: str) -> tuple[str, str]:
    """Return a certificate that expired yesterday, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, hostname)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=91))
        .not_valid_after(now - datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()


def certificate(sandbox: Sandbox) -> str:
    return sandbox.secret(SECRET)["tls.crt"]


def test_a_restarted_client_asks_for_no_new_certificate(sandbox: Sandbox) -> None:
    before, issued = certificate(sandbox), orders(sandbox)
    restart(sandbox)
    logs = ("logs", CLIENT, "--namespace=registry", "--container=keep")
    eventually("it is kept anew", lambda: "wrote" in sandbox.kubectl(*logs).stdout)
    assert orders(sandbox) == issued
    assert certificate(sandbox) == before


def test_an_expired_certificate_is_renewed_with_the_same_account(
    sandbox: Sandbox, trust: ssl.SSLContext
) -> None:
    kept = json.loads(sandbox.secret(SECRET)["acme.json"])
    accounts = {name: text for name, text in kept["files"].items() if name.startswith("acme/")}
    expired, key = expired_certificate(sandbox.registry)
    (name,) = [name for name in kept["files"] if name.endswith(".crt")]
    kept["files"][name] = expired
    kept["files"][name.removesuffix("crt") + "key"] = key
    patch = {"data": {"acme.json": b64encode(json.dumps(kept).encode()).decode()}}
    sandbox.kubectl(
        "patch", "secret", SECRET, "--namespace=registry", f"--patch={json.dumps(patch)}"
    )
    before = certificate(sandbox)
    restart(sandbox)
    eventually(
        "another certificate of the ACME server's is there",
        lambda: certificate(sandbox) not in (before, expired),
        ISSUED_SECONDS,
    )
    eventually("the certificate is served", lambda: serves(sandbox, trust), ISSUED_SECONDS)
    renewed = json.loads(sandbox.secret(SECRET)["acme.json"])["files"]
    assert {name: text for name, text in renewed.items() if name.startswith("acme/")} == accounts


def test_without_its_certificate_the_registry_asks_nobody_for_a_password(
    sandbox: Sandbox, trust: ssl.SSLContext
) -> None:
    scale = ("scale", "deployment/acme-client", "--namespace=registry")
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE

    def handshake_fails() -> bool:
        try:
            send(f"https://{sandbox.registry}/v2/", ssl_context=unverified)
        except OSError:
            return True
        return False

    sandbox.kubectl(*scale, "--replicas=0")
    try:
        sandbox.kubectl("delete", "secret", SECRET, "--namespace=registry")
        eventually("no handshake succeeds", handshake_fails)
        assert send(f"http://{sandbox.registry}/v2/")[0] == 308
    finally:
        sandbox.kubectl(*scale, "--replicas=1")
    eventually("a new certificate is served", lambda: serves(sandbox, trust), ISSUED_SECONDS)


def test_only_the_scripts_have_a_token_and_only_for_one_secret(sandbox: Sandbox) -> None:
    account = "--as=system:serviceaccount:registry:acme-client"
    can = ("auth", "can-i", account, "--namespace=registry")
    assert "yes" in sandbox.kubectl(*can, "patch", f"secret/{SECRET}").stdout
    for verb, what in (("get", "secret/registry-auth-proxy"), ("list", "secrets")):
        assert "no" in sandbox.kubectl(*can, verb, what, fails=True).stdout
