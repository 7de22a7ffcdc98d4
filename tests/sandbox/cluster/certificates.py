# SPDX-License-Identifier: GPL-3.0-or-later
"""One authority, and the certificates by which the components know each other."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..places import write_private

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

# A cluster lives for hours. The day before covers a clock that is set back while it runs.
_VALID_FROM, _VALID_FOR = timedelta(days=-1), timedelta(days=365)


@dataclass(frozen=True)
class Pair:
    """The files of a certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A new authority whose files lie in `folder`: ca.crt, ca.key and one pair for each certificate."""

    def __init__(self, folder: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("fanout test cluster", "")
        certificate = _signed(self._name, self._name, self._key, self._key, authority=True)
        self.files = self._write("ca", certificate, self._key)

    def issue(self, user: str, group: str = "", names: tuple[str, ...] = ()) -> Pair:
        """Issue a certificate for client and server alike. `names` are its DNS names and IP addresses as a server.

        The API server takes `user` and `group` as who calls."""
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(_name(user, group), self._name, key, self._key, names)
        return self._write(user.replace(":", "-"), certificate, key)

    def issue_key_pair(self, name: str) -> Pair:
        """Make an RSA key, with which service accounts' tokens are signed. `certificate` is its public half."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        pair = Pair(self._folder / f"{name}.pub", self._folder / f"{name}.key")
        write_private(pair.certificate, public.decode())
        write_private(pair.key, _pem(key))
        return pair

    def _write(self, name: str, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> Pair:
        from cryptography.hazmat.primitives.serialization import Encoding

        pair = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        write_private(pair.certificate, certificate.public_bytes(Encoding.PEM).decode())
        write_private(pair.key, _pem(key))
        return pair


def _pem(key: PrivateKeyTypes) -> str:
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _name(user: str, group: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    parts = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: EllipticCurvePrivateKey,
    by: EllipticCurvePrivateKey,
    names: tuple[str, ...] = (),
    *,
    authority: bool = False,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + _VALID_FROM)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        # Python's TLS since 3.13 refuses certificates without these two.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
    )
    if authority:
        builder = builder.add_extension(_signs_certificates(), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
    return builder.sign(by, hashes.SHA256())


def _signs_certificates() -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
