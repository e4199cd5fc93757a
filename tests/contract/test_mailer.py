"""Mailers: one suite for files in an outbox and for a real SMTP server."""

from __future__ import annotations

import email
import stat
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.support.mailbox import smtp_server
from tests.support.people import race

from caseframe.accounts.mail import Mail, Mailer, OutboxMailer
from caseframe.accounts.smtp import SmtpMailer, SmtpOptions, SmtpTls
from caseframe.domain.access import InvalidInput

SENDER = "Caseframe <case@example.org>"
MAIL = Mail("anna@example.org", "Grüße", "Hällo,\n\nhttps://x/?key=k-1\n", "<p>Hällo &amp; k-1</p>")
Read = Callable[[], list[EmailMessage]]


@pytest.fixture(params=["outbox", "smtp"])
def post(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Mailer, Read]]:
    def parse(content: bytes) -> EmailMessage:
        found = email.message_from_bytes(content, policy=default)
        assert isinstance(found, EmailMessage)
        return found

    if request.param == "outbox":
        folder = tmp_path / "case" / "outbox"
        yield (
            OutboxMailer(folder, SENDER),
            lambda: [parse(f.read_bytes()) for f in sorted(folder.glob("*"))],
        )
        return
    with smtp_server() as server:
        options = SmtpOptions("127.0.0.1", server.port, SENDER, SmtpTls.NONE)
        yield SmtpMailer(options), lambda: [parse(content) for content in server.taken]


def test_a_mail_arrives_whole(post: tuple[Mailer, Read]) -> None:
    mailer, read = post
    mailer.send(MAIL)
    (found,) = read()
    assert (found["To"], found["From"], found["Subject"]) == (MAIL.to, SENDER, MAIL.subject)
    assert found["Date"]
    assert found["Message-ID"].endswith("@example.org>")
    assert found["Auto-Submitted"] == "auto-generated"
    texts = {part.get_content_type(): part.get_content() for part in found.iter_parts()}
    assert texts["text/plain"].replace("\r\n", "\n") == MAIL.text
    assert texts["text/html"].strip() == MAIL.html


@pytest.mark.parametrize(
    "to",
    ["", "anna", "anna@example.org\r\nBcc: eve@example.org", "anna@example.org\nX: y",
     "anna@example.org,eve@example.org", "a\x00@example.org", "\ud800@example.org"],
)  # fmt: skip
def test_no_recipient_starts_another_header(post: tuple[Mailer, Read], to: str) -> None:
    mailer, read = post
    with pytest.raises(InvalidInput):
        mailer.send(Mail(to, "s", "t", "h"))
    assert read() == []


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x0b", "\x85"])
def test_no_subject_starts_another_header(post: tuple[Mailer, Read], end: str) -> None:
    mailer, read = post
    mailer.send(Mail("anna@example.org", f"Hello{end}Bcc: eve@example.org", "t", "h"))
    (found,) = read()
    assert found["Bcc"] is None
    assert found["Subject"] == "Hello Bcc: eve@example.org"


def test_no_text_ends_the_mail_early(post: tuple[Mailer, Read]) -> None:
    mailer, read = post
    mailer.send(Mail("anna@example.org", "s", "one\n.\nQUIT\n..\nFrom here\n", "h"))
    (found,) = read()
    plain = found.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().replace("\r\n", "\n") == "one\n.\nQUIT\n..\nFrom here\n"


def test_addresses_of_other_scripts_go_out_as_ascii(post: tuple[Mailer, Read]) -> None:
    mailer, read = post
    mailer.send(Mail("anna@bücher.example", "s", "t", "h"))
    assert read()[0]["To"] == "anna@xn--bcher-kva.example"


def test_many_at_once_all_arrive(post: tuple[Mailer, Read]) -> None:
    mailer, read = post
    found = race(*[lambda: mailer.send(MAIL)] * 8)
    assert found == [None] * 8
    assert len(read()) == 8
    assert len({mail["Message-ID"] for mail in read()}) == 8


def test_what_a_mail_says_does_not_show() -> None:
    assert "k-1" not in repr(MAIL)


def test_files_of_the_outbox_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    with capture_logs() as logs:
        OutboxMailer(folder, SENDER).send(MAIL)
    (file,) = folder.iterdir()
    assert file.suffix == ".eml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert str(file) in repr(logs)
    assert "k-1" not in repr(logs)
