"""A private authority and a certificate for each service: `python deploy/certificates.py FOLDER`.

For first starts, tests and small installations; who has an authority of their own puts its files in
the same places. What is there is kept: delete a service's two files to have them made anew, and
`ca.pem` with `ca.key` to begin again (then every service needs its new files).

FOLDER gets `ca.pem`, `ca.key`, and for each service `NAME.pem` and `NAME.key`. Keys can be read by
their owner only. `ca.key` is needed for new certificates and by no service: keep it elsewhere.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES: dict[str, tuple[str, ...]] = {
    "rabbitmq": ("rabbitmq",),
    "auth": ("auth",),
    "jobs": ("jobs",),
    "vision": ("vision",),
    "gateway": ("gateway",),
    "stage": ("stage-faces", "stage-facts", "stage-caption"),
}
"""Each certificate, and the host names that compose.yaml gives to those who show it."""
LOCAL = ("localhost", "127.0.0.1", "::1")
AUTHORITY_DAYS = 3650
SERVICE_DAYS = 825  # the longest that common TLS libraries take from a private authority
_A_MOMENT_AGO = timedelta(minutes=5)  # clocks of other machines may be behind


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(folder: Path, hosts: Iterable[str] = ()) -> dict[str, datetime]:
    """Make what is missing in the folder; returns when each certificate ends.

    `hosts` are further names and addresses that the new ones are good for.
    Raises ValueError when the authority is half there, so that a service cannot be signed.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (folder / "ca.pem").exists():
        _write(folder, "ca", _authority())
    ends = {"ca": _read_certificate(folder / "ca.pem").not_valid_after_utc}
    for name, called in NAMES.items():
        if not (folder / f"{name}.pem").exists() or not (folder / f"{name}.key").exists():
            _write(folder, name, _service(_read(folder), name, (*called, *LOCAL, *hosts)))
        ends[name] = _read_certificate(folder / f"{name}.pem").not_valid_after_utc
    return ends


def _authority() -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Caseframe private authority")
    builder = _builder(name, name, key, AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return Pair(builder.sign(key, hashes.SHA256()), key)


def _service(authority: Pair, name: str, called: tuple[str, ...]) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    builder = _builder(_name(f"caseframe {name}"), issuer.subject, key, SERVICE_DAYS)
    extensions: Iterator[tuple[x509.ExtensionType, bool]] = iter(
        [
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            # Services are each other's servers and clients.
            (
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                False,
            ),
            (x509.SubjectAlternativeName([_alternative(one) for one in called]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), False),
        ]
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _A_MOMENT_AGO)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


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


def _write(folder: Path, name: str, pair: Pair) -> None:
    """The key first: a certificate without its key would be kept and be of no use."""
    key = pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    write_private(folder / f"{name}.key", key)
    certificate = folder / f"{name}.pem"
    certificate.write_bytes(pair.certificate.public_bytes(serialization.Encoding.PEM))


def write_private(file: Path, content: bytes) -> None:
    """Write a file that from its first moment nobody but its owner can read."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as opened:
        opened.write(content)


def _read(folder: Path) -> Pair:
    try:
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    except OSError as error:
        raise ValueError(f"{folder}/ca.key is needed to sign, and cannot be read") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{folder}/ca.key is no key of this authority")
    return Pair(_read_certificate(folder / "ca.pem"), key)


def _read_certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def main(words: list[str]) -> int:
    """The command; status 1 when a certificate cannot be signed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(":")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--host", action="append", default=[], help="a name or address that services are called by"
    )
    given = parser.parse_args(words)
    try:
        ends = make_certificates(given.folder, given.host)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for name, end in ends.items():
        print(f"{given.folder / name}.pem ends on {end.date().isoformat()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
