"""The sandbox's certificate authority, and what it signs.

One authority for everything: the API server, the node's clients, the registry's own name. A
client trusts the sandbox by ``bundle.crt`` (``SSL_CERT_FILE``), which holds the machine's
authorities too.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.files import write_private, write_public

_CA_DAYS = 3650
_LEAF_DAYS = 365
_RENEW_DAYS = 30
"""A certificate with less left than this is signed anew."""

_DEBIAN_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
"""Where the package ca-certificates keeps the machine's authorities."""


def authority(folder: Path) -> None:
    """Make ``ca.crt``, ``ca.key`` and ``bundle.crt``; an authority that is there is kept.

    Args:
        folder: ``Layout.pki``; made when missing.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificate = folder / "ca.crt"
    if not certificate.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "k3s-registry sandbox")])
        built = (
            _builder(name, name, key.public_key(), _CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_private(folder / "ca.key", _pem(key))
        write_public(certificate, built.public_bytes(serialization.Encoding.PEM))
    # Rebuilt each time: the machine's authorities change with its packages.
    system = Path(os.environ.get("SSL_CERT_FILE", _DEBIAN_BUNDLE))
    bundle = folder / "bundle.crt"
    known = system.read_bytes() if system.exists() and system != bundle else b""
    write_public(bundle, known + certificate.read_bytes())


def issue(
    folder: Path,
    name: str,
    *,
    dns: Sequence[str] = (),
    ips: Sequence[str] = (),
    organization: str = "",
) -> tuple[Path, Path]:
    """Sign a certificate for servers and clients alike; one that still serves is kept.

    Args:
        folder: ``Layout.pki``, with the authority in it.
        name: Common name; also names the files.
        dns: Host names that the certificate is for.
        ips: Addresses that the certificate is for.
        organization: What Kubernetes reads as the client's group; none when empty.

    Returns:
        The paths of certificate and key, both PEM; the key has mode 0600.

    Raises:
        FileNotFoundError: The authority was not made yet.
    """
    certificate, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    alternatives = [x509.DNSName(x) for x in dns]
    addresses = [x509.IPAddress(ipaddress.ip_address(x)) for x in ips]
    ca = x509.load_pem_x509_certificate((folder / "ca.crt").read_bytes())
    if key_file.exists() and _serves(certificate, ca, [*alternatives, *addresses]):
        return certificate, key_file
    ca_key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)  # noqa: S101 (this module wrote it)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(x509.Name(names), ca.subject, key.public_key(), _LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
    )
    if dns or ips:
        names_extension = x509.SubjectAlternativeName([*alternatives, *addresses])
        builder = builder.add_extension(names_extension, critical=False)
    built = builder.sign(ca_key, hashes.SHA256())
    write_private(key_file, _pem(key))
    write_public(certificate, built.public_bytes(serialization.Encoding.PEM))
    return certificate, key_file


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """Make ``<name>.key`` and ``<name>.pub``, such as service account tokens are signed with.

    Args:
        folder: ``Layout.pki``.
        name: Names the files; a pair that is there is kept.

    Returns:
        The paths of private and public key, both PEM.
    """
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    if not public.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        write_private(private, _pem(key))
        write_public(
            public,
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        )
    return private, public


def _serves(certificate: Path, ca: x509.Certificate, names: list[x509.GeneralName]) -> bool:
    if not certificate.exists():
        return False
    known = x509.load_pem_x509_certificate(certificate.read_bytes())
    try:
        known.verify_directly_issued_by(ca)
    except Exception:  # noqa: BLE001 (whatever is wrong with it, a new one is the cure)
        return False
    try:
        has = list(known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        has = []
    left = known.not_valid_after_utc - datetime.now(UTC)
    return has == names and left > timedelta(days=_RENEW_DAYS)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
