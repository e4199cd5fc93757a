"""A real SMTP server for tests, on 127.0.0.1, which keeps what it takes."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.certificates import written


@dataclass
class Mailbox:
    """What came in; `refuse` is said to every recipient instead, if set."""

    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    refuse: str = ""

    async def handle_RCPT(  # noqa: N802 - named by the server's library
        self, _server: Any, _session: Any, envelope: Envelope, address: str, _options: Any
    ) -> str:
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.taken.append(envelope.original_content or b"")
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key) for 127.0.0.1, signed by itself, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    present = dt.datetime.now(dt.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(present - dt.timedelta(days=1))
        .not_valid_after(present + dt.timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    return written(folder, "mail", made, key)


def _login(_server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"cf", b"sesame-77")
    return AuthResult(success=right, handled=False)


@contextmanager
def smtp_server(
    *, tls: str = "none", files: tuple[Path, Path] | None = None, login: bool = False
) -> Iterator[Mailbox]:
    """A server; with `tls` as in the setting, and a login of `cf` with `sesame-77` if wanted."""
    context = None
    if files is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    options: dict[str, Any] = {}
    if login:
        options |= {"authenticator": _login, "auth_required": True}
        # With TLS from the start the library does not know that there is any.
        options |= {"auth_require_tls": False, "auth_required": False} if tls == "tls" else {}
    if tls == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    mailbox = Mailbox()
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=0,
        ssl_context=context if tls == "tls" else None,
        **options,
    )
    # The library looks whether it is up at the port that it was given; ours is any free one.
    look = controller._trigger_server

    def look_there() -> None:
        controller.port = controller.server.sockets[0].getsockname()[1]
        look()

    controller._trigger_server = look_there
    controller.start()
    try:
        mailbox.port = controller.port
        yield mailbox
    finally:
        controller.stop()
