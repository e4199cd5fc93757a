"""Mail: what one is, and the mailer that leaves files where there is no mail server."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Protocol

import structlog

from caseframe.accounts.rules import mail_address
from caseframe.domain.access import AccountsAway
from caseframe.domain.text import one_line

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter in two forms that say the same. Both may hold a key, so neither shows."""

    to: str
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


class Mailer(Protocol):
    """Sends mail. One suite tests every implementation."""

    def send(self, mail: Mail) -> None:
        """Hand the mail over. Raises AccountsAway when nobody takes it, InvalidInput."""


def compose(mail: Mail, sender: str) -> EmailMessage:
    """The message as it goes out. Raises InvalidInput for a recipient that is no address."""
    message = EmailMessage()
    # Headers take no line end: the address is checked, the rest is folded to one line.
    message["From"] = " ".join(sender.split())
    message["To"] = mail_address(mail.to)
    message["Subject"] = " ".join(mail.subject.split())
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2].strip("> ") or None)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday replies
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


class Postman:
    """Sends mail behind the caller's back, one after the other.

    For answers that must not tell, by their time or an error, whether there was anybody to write
    to. What cannot be sent is named in the log without its content.
    """

    def __init__(self, mailer: Mailer) -> None:
        self._mailer = mailer
        self._thread = ThreadPoolExecutor(1, "mail")

    def post(self, mail: Mail) -> None:
        """Send this mail soon."""
        self._thread.submit(self._send, mail)

    def _send(self, mail: Mail) -> None:
        try:
            self._mailer.send(mail)
        except Exception as error:  # noqa: BLE001 - one mail must not end the thread of all
            _log.error("mail.not_sent", subject=mail.subject, reason=one_line(str(error)))

    def flush(self) -> None:
        """Wait until everything posted so far is sent or given up."""
        self._thread.submit(int).result()

    def close(self) -> None:
        """Send what is waiting, then end."""
        self._thread.shutdown()


class OutboxMailer:
    """Writes each mail as one .eml file (mode 0600) for a person to open on this machine."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender

    def send(self, mail: Mail) -> None:
        """Write the file; it is there whole or not at all."""
        content = bytes(compose(mail, self._sender))
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{uuid.uuid4().hex[:8]}"
        file, fresh = self._folder / f"{name}.eml", self._folder / f".{name}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(fresh, content)
            fresh.rename(file)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink()
            raise AccountsAway(
                f"the mail cannot be written to {self._folder}: {error.strerror}; free room there "
                "or check its permissions"
            ) from error
        # The file's name only: what the link in it opens is nobody's business who reads logs.
        _log.warning("mail.in_outbox", file=str(file), subject=mail.subject)


def _write(file: Path, content: bytes) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
