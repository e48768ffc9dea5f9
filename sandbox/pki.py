"""The sandbox's certificate authority, and what it signs.

One authority for everything: the API server, the node's clients, the registry's own name. A
client trusts the sandbox by ``bundle.crt`` (``SSL_CERT_FILE``), which holds the machine's
authorities too.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.files import write_private, write_public

_DAYS = 365
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
        ca = trustme.CA(organization_unit_name="k3s-registry sandbox")
        write_private(folder / "ca.key", ca.private_key_pem.bytes())
        write_public(certificate, ca.cert_pem.bytes())
    # Rebuilt each time: the machine's authorities change with its packages.
    system = Path(os.environ.get("SSL_CERT_FILE", _DEBIAN_BUNDLE))
    bundle = folder / "bundle.crt"
    known = system.read_bytes() if system.exists() and system != bundle else b""
    write_public(bundle, known + certificate.read_bytes())


def issue(folder: Path, name: str, *identities: str, organization: str = "") -> tuple[Path, Path]:
    """Sign a certificate for servers and clients alike; one that still serves is kept.

    Args:
        folder: ``Layout.pki``, with the authority in it.
        name: Common name; also names the files.
        identities: Host names and addresses that the certificate is for; by default its name, since
            Go refuses a certificate for none.
        organization: What Kubernetes reads as the client's group.

    Returns:
        The paths of certificate and key, both PEM; the key has mode 0600.

    Raises:
        FileNotFoundError: The authority was not made yet.
    """
    certificate, key_file = folder / f"{name}.crt", folder / f"{name}.key"
    ca_pem = (folder / "ca.crt").read_bytes()
    ca = trustme.CA.from_pem(ca_pem, (folder / "ca.key").read_bytes())
    now = datetime.now(UTC)
    leaf = ca.issue_cert(
        *(identities or [name]),
        common_name=name,
        organization_name=organization or None,
        not_before=now,
        not_after=now + timedelta(days=_DAYS),
    )
    (pem,) = leaf.cert_chain_pems
    if not (key_file.exists() and _serves(certificate, ca_pem, pem.bytes())):
        write_private(key_file, leaf.private_key_pem.bytes())
        write_public(certificate, pem.bytes())
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
        pem = serialization.Encoding.PEM
        encryption = serialization.NoEncryption()
        write_private(
            private, key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
        )
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        write_public(public, key.public_key().public_bytes(pem, spki))
    return private, public


def _serves(certificate: Path, ca_pem: bytes, wanted_pem: bytes) -> bool:
    """Return whether a certificate is as good as another one that the authority has just signed."""
    if not certificate.exists():
        return False
    current, wanted, ca = (
        x509.load_pem_x509_certificate(pem)
        for pem in (certificate.read_bytes(), wanted_pem, ca_pem)
    )
    try:
        current.verify_directly_issued_by(ca)
    except Exception:  # noqa: BLE001 (whatever is wrong with it, a new one is the fix)
        return False
    names, wanted_names = (
        x.extensions.get_extension_for_class(x509.SubjectAlternativeName) for x in (current, wanted)
    )
    left = current.not_valid_after_utc - datetime.now(UTC)
    return names == wanted_names and left > timedelta(days=_RENEW_DAYS)
