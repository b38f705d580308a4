"""The house's own certificate authority, made at first start, or certificates brought from elsewhere.

A root and a leaf, ES256, each in a file that its owner alone may read. `root.crt` is for others: who adds it to their
trusted anchors sees our credentials as trusted. Certificates of a public authority are named in the environment:
VASA_CERTIFICATE (PEM, the leaf first, its root last) and VASA_CERTIFICATE_KEY.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from vasa_core.errors import BadOption

CERTIFICATE, KEY = "VASA_CERTIFICATE", "VASA_CERTIFICATE_KEY"

ROOT_YEARS = 30
LEAF_YEARS = 10
LEAF_RENEWED_YEARS_BEFORE = 5
"""Credentials made offline bear nobody else's time stamp, so they are believed only while their leaf is valid."""

YEAR = timedelta(days=365)
BEGIN = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """What signs here, and what this house takes for its own. PEM throughout."""

    algorithm: str
    certificates: str
    key: str = field(repr=False)
    own_root: str
    brought_root: str = ""
    brought_serial: str = ""
    """The serial number of our leaf under a root that certifies others as well."""


def authority(folder: Path, environment: Mapping[str, str] = os.environ) -> Authority:
    """The authority of the house that keeps its keys in this folder; made there if need be."""
    own = _own(folder)
    brought = environment.get(CERTIFICATE), environment.get(KEY)
    if not any(brought):
        return own
    if not all(brought):
        raise BadOption(f"{CERTIFICATE} and {KEY} name two files; set both or neither.")
    return _brought(Path(str(brought[0])), Path(str(brought[1])), own.own_root)


# ---- our own ------------------------------------------------------------------------------------------------------


def _own(folder: Path) -> Authority:
    root_file, leaf_file = folder / "root.pem", folder / "signer.pem"
    if not root_file.exists():
        keep_first(root_file, _new_root().encode())
    root = root_file.read_text()
    if not (folder / "root.crt").exists():
        (folder / "root.crt").write_text(_split(root)[1])
    if not leaf_file.exists():
        keep_first(leaf_file, _new_leaf(root).encode())
    elif _years_left(leaf_file.read_text()) < LEAF_RENEWED_YEARS_BEFORE:
        _written(leaf_file, _new_leaf(root).encode()).replace(leaf_file)
    key, leaf = _split(leaf_file.read_text())
    own_root = _split(root)[1]
    return Authority(algorithm="ES256", certificates=leaf + own_root, key=key, own_root=own_root)


def keep_first(path: Path, secret: bytes) -> None:
    """Writes a secret that only its owner may read; where another process was faster, its file counts."""
    unfinished = _written(path, secret)
    with suppress(FileExistsError):
        os.link(unfinished, path)
    unfinished.unlink()


def _written(path: Path, secret: bytes) -> Path:
    """The secret beside its place, closed to others from its first byte."""
    for folder in (path.parent.parent, path.parent):  # `parents` would make the house itself with common rights
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_bytes(secret)
    return unfinished


def _split(pem: str) -> tuple[str, str]:
    """The key and the certificate of one of our files."""
    key, _, certificate = pem.partition(BEGIN)
    return key, BEGIN + certificate


def _years_left(pem: str) -> float:
    return (x509.load_pem_x509_certificate(_split(pem)[1].encode()).not_valid_after_utc - datetime.now(UTC)) / YEAR


def _new_root() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Talking-face studio {secrets.token_hex(4)}")
    builder = _certificate(name, name, key.public_key(), ROOT_YEARS, signs_certificates=True)
    return _packed(key, builder.sign(key, hashes.SHA256()))


def _new_leaf(root_pem: str) -> str:
    """Its purpose is e-mail protection: C2PA readers take that without being told to."""
    root_key_pem, root_pem = _split(root_pem)
    root_key = serialization.load_pem_private_key(root_key_pem.encode(), None)
    if not isinstance(root_key, ec.EllipticCurvePrivateKey):
        raise BadOption("root.pem in the house's keys is not the one made there; restore it from a backup.")
    root = x509.load_pem_x509_certificate(root_pem.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Talking-face studio, signer")
    builder = _certificate(name, root.subject, key.public_key(), LEAF_YEARS, signs_certificates=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key())
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True)
    return _packed(key, builder.add_extension(issuer, critical=False).sign(root_key, hashes.SHA256()))


def _name(common: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "vasa_core")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common), organisation])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, years: int, signs_certificates: bool
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(hours=1)  # clocks differ
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + years * YEAR)
    path_length = 0 if signs_certificates else None
    builder = builder.add_extension(x509.BasicConstraints(signs_certificates, path_length), critical=True)
    builder = builder.add_extension(_usage(signs_certificates), critical=True)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(signs_certificates: bool) -> x509.KeyUsage:
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


def _packed(key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> str:
    """Key and certificate in one text, so that neither can be replaced without the other."""
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return (secret + certificate.public_bytes(pem)).decode()


# ---- brought from elsewhere ---------------------------------------------------------------------------------------


def _brought(certificate: Path, key: Path, own_root: str) -> Authority:
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
        secret = serialization.load_pem_private_key(key.read_bytes(), None)
    except (OSError, ValueError, TypeError):
        raise BadOption(
            f"{CERTIFICATE} or {KEY} cannot be read; both are PEM files, the key without a password."
        ) from None
    if secret.public_key() != chain[0].public_key():
        raise BadOption(f"{KEY} is not the key of the first certificate in {CERTIFICATE}.")
    return Authority(
        algorithm=_algorithm(secret),
        certificates=certificate.read_text(),
        key=key.read_text(),
        own_root=own_root,
        brought_root=chain[-1].public_bytes(serialization.Encoding.PEM).decode(),
        brought_serial=str(chain[0].serial_number),
    )


def _algorithm(key: object) -> str:
    """C2PA's name for what this key signs with."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    curves = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    raise BadOption(f"{KEY} is of a kind that C2PA does not sign with; use ES256, ES384, PS256 or Ed25519.")
