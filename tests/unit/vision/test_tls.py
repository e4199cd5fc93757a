"""TLS and mutual TLS, with certificates made here."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from PIL import Image
from tests import makers
from tests.support.vision import Colours, running

from caseframe.domain.errors import UsageError, VisionAway
from caseframe.vision.client import VisionClient
from caseframe.vision.tls import TlsFiles, client_credentials, server_credentials

PICTURE = makers.encoded(Image.new("RGB", (4, 4), (9, 8, 7)), "BMP")


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signs for 127.0.0.1."""

    folder: Path
    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path, name: str) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        made = _builder(subject, subject, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        authority = cls(folder, name, key, made.sign(key, hashes.SHA256()))
        authority.file.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
        return authority

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.pem"

    def issue(self, name: str) -> tuple[Path, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        signed = (
            _builder(_name(name), self.certificate.subject, key)
            .add_extension(here, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        cert, private = self.folder / f"{name}.cert.pem", self.folder / f"{name}.key.pem"
        cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return cert, private


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
    )


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority.make(tmp_path, "ours")


def describe(address: str, tls: TlsFiles | None) -> str:
    with VisionClient(address, tls=tls, patience=0.3) as client:
        return client.describe(PICTURE, "FACTS")


def test_tls_serves_those_who_trust_its_authority(ours: Authority, tmp_path: Path) -> None:
    cert, key = ours.issue("service")
    other = Authority.make(tmp_path, "other")
    with running({"FACTS": Colours()}, tls=TlsFiles(None, cert, key)) as served:
        assert describe(served.address, TlsFiles(ours.file)) == "FACTS sees 9 8 7"
        for wrong in (None, TlsFiles(other.file)):
            with pytest.raises(VisionAway):
                describe(served.address, wrong)
        assert describe(served.address, TlsFiles(ours.file)) == "FACTS sees 9 8 7"


def test_mutual_tls_serves_clients_of_its_authority_only(ours: Authority, tmp_path: Path) -> None:
    cert, key = ours.issue("service")
    other = Authority.make(tmp_path, "other")
    with running({"FACTS": Colours()}, tls=TlsFiles(ours.file, cert, key)) as served:
        known = TlsFiles(ours.file, *ours.issue("client"))
        assert describe(served.address, known) == "FACTS sees 9 8 7"
        for unknown in (TlsFiles(ours.file), TlsFiles(ours.file, *other.issue("stranger"))):
            with pytest.raises(VisionAway):
                describe(served.address, unknown)
        assert describe(served.address, known) == "FACTS sees 9 8 7"


def test_files_that_are_missing_are_named_with_their_setting(
    ours: Authority, tmp_path: Path
) -> None:
    cert, key = ours.issue("service")
    gone = tmp_path / "gone.pem"
    for files, setting in (
        (TlsFiles(gone, cert, key), "vision_tls_ca"),
        (TlsFiles(None, gone, key), "vision_tls_cert"),
        (TlsFiles(None, cert, gone), "vision_tls_key"),
    ):
        with pytest.raises(UsageError, match=f"{setting}: .*gone.pem cannot be read"):
            server_credentials(files)
        with pytest.raises(UsageError, match=f"{setting}: .*gone.pem cannot be read"):
            client_credentials(files)


def test_a_certificate_and_its_key_go_together(ours: Authority) -> None:
    cert, key = ours.issue("service")
    for half in (TlsFiles(ours.file, cert), TlsFiles(ours.file, None, key)):
        with pytest.raises(UsageError, match="both vision_tls_cert and vision_tls_key"):
            server_credentials(half)
        with pytest.raises(UsageError, match="go together"):
            client_credentials(half)
