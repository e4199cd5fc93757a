"""Mail over SMTP (RFC 5321), with TLS from the start or by STARTTLS where settings say so."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.policy import SMTP
from email.utils import parseaddr
from enum import StrEnum
from pathlib import Path

from pydantic import SecretStr

from caseframe.accounts.mail import Mail, compose
from caseframe.domain.access import AccountsAway
from caseframe.domain.errors import UsageError
from caseframe.domain.text import one_line

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SmtpTls(StrEnum):
    """How the connection is protected; `starttls` never goes on in the clear."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """The mail server. `ca` names a PEM file when its certificate is of a private authority."""

    host: str
    port: int
    sender: str
    tls: SmtpTls = SmtpTls.STARTTLS
    user: str | None = None
    password: SecretStr | None = None
    ca: Path | None = None
    seconds: float = 20.0


class SmtpMailer:
    """Sends each mail over a connection of its own: they are rare, and servers drop idle ones."""

    def __init__(self, options: SmtpOptions) -> None:
        in_the_clear = options.password is not None and options.tls is SmtpTls.NONE
        if in_the_clear and options.host not in _LOOPBACK:
            raise UsageError(
                "smtp_tls none would send the password of smtp_user in the clear; set it to "
                "starttls or tls"
            )
        self._options = options

    def send(self, mail: Mail) -> None:
        """Hand the mail to the server."""
        message = compose(mail, self._options.sender)
        where = f"{self._options.host}:{self._options.port}"
        try:
            with self._connect() as server:
                content = message.as_bytes(policy=SMTP)
                server.sendmail(parseaddr(self._options.sender)[1], [message["To"]], content)
        except smtplib.SMTPNotSupportedError as error:
            raise AccountsAway(
                f"the mail server {where} does not offer what smtp_tls or smtp_user ask for"
            ) from error
        except smtplib.SMTPAuthenticationError as error:
            raise AccountsAway(
                f"the mail server {where} refuses smtp_user and its password"
            ) from error
        except ssl.SSLError as error:
            raise AccountsAway(
                f"no secure connection with the mail server {where}: {error.reason}; check "
                "smtp_tls and smtp_ca"
            ) from error
        except (smtplib.SMTPException, OSError) as error:
            raise AccountsAway(
                f"the mail server {where} did not take the mail: {one_line(str(error))}; try again "
                "later or check the smtp settings"
            ) from error

    def _connect(self) -> smtplib.SMTP:
        options = self._options
        if options.tls is SmtpTls.TLS:
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                options.host, options.port, timeout=options.seconds, context=self._context()
            )
        else:
            server = smtplib.SMTP(options.host, options.port, timeout=options.seconds)
        try:
            if options.tls is SmtpTls.STARTTLS:
                server.starttls(context=self._context())
            if options.user is not None and options.password is not None:
                server.login(options.user, options.password.get_secret_value())
        except BaseException:
            server.close()
            raise
        return server

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._options.ca)
