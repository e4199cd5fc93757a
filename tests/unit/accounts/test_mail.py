"""Mail servers that want a password or TLS, refuse, or are away; and the letters themselves."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.support.mailbox import certificate, smtp_server
from tests.support.people import KeepingMailer

from caseframe.accounts import letters
from caseframe.accounts.mail import Mail, OutboxMailer, Postman
from caseframe.accounts.smtp import SmtpMailer, SmtpOptions, SmtpTls
from caseframe.domain.access import AccountsAway, Role
from caseframe.domain.errors import UsageError

MAIL = Mail("anna@example.org", "s", "t", "h")
SENDER = "case@example.org"
RIGHT = SecretStr("sesame-77")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_password_goes_over_a_protected_way(tls: str, tmp_path: Path) -> None:
    files = certificate(tmp_path)
    with smtp_server(tls=tls, files=files, login=True) as server:
        options = SmtpOptions(
            "127.0.0.1", server.port, SENDER, SmtpTls(tls), "cf", RIGHT, ca=files[0]
        )
        SmtpMailer(options).send(MAIL)
        assert server.recipients == [["anna@example.org"]]


def test_a_wrong_password_is_said_and_not_shown(tmp_path: Path) -> None:
    files = certificate(tmp_path)
    with smtp_server(tls="starttls", files=files, login=True) as server:
        wrong = SecretStr("not-sesame-78")
        options = SmtpOptions(
            "127.0.0.1", server.port, SENDER, SmtpTls.STARTTLS, "cf", wrong, files[0]
        )
        with pytest.raises(AccountsAway, match="refuses smtp_user") as error:
            SmtpMailer(options).send(MAIL)
        assert "not-sesame" not in f"{error.value}{options!r}"
        assert server.taken == []


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_of_somebody_else_is_refused(tls: str, tmp_path: Path) -> None:
    with smtp_server(tls=tls, files=certificate(tmp_path)) as server:
        options = SmtpOptions("127.0.0.1", server.port, SENDER, SmtpTls(tls))
        with pytest.raises(AccountsAway, match="smtp_ca"):
            SmtpMailer(options).send(MAIL)
        assert server.taken == []


def test_mail_never_goes_in_the_clear_where_tls_is_wanted() -> None:
    with smtp_server() as server:
        options = SmtpOptions("127.0.0.1", server.port, SENDER, SmtpTls.STARTTLS)
        with pytest.raises(AccountsAway, match="does not offer"):
            SmtpMailer(options).send(MAIL)
        assert server.taken == []


def test_a_password_in_the_clear_is_refused_from_the_start() -> None:
    options = SmtpOptions("mail.example.org", 25, SENDER, SmtpTls.NONE, "cf", RIGHT)
    with pytest.raises(UsageError, match="in the clear"):
        SmtpMailer(options)


@pytest.mark.parametrize("said", ["550 no such user", "451 try again later", "554 \x1b[31mspam"])
def test_a_refused_recipient_is_said(said: str) -> None:
    with smtp_server() as server:
        server.refuse = said
        options = SmtpOptions("127.0.0.1", server.port, SENDER, SmtpTls.NONE)
        with pytest.raises(AccountsAway, match="did not take the mail") as error:
            SmtpMailer(options).send(MAIL)
        assert str(error.value).isprintable()


def test_a_server_that_is_away_is_said() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(AccountsAway, match="did not take"):
            SmtpMailer(SmtpOptions("127.0.0.1", port, SENDER, SmtpTls.NONE)).send(MAIL)


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        options = SmtpOptions("127.0.0.1", mute.getsockname()[1], SENDER, SmtpTls.NONE, seconds=0.2)
        with pytest.raises(AccountsAway, match="did not take"):
            SmtpMailer(options).send(MAIL)


def test_an_outbox_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file in the way")
    with pytest.raises(AccountsAway, match="cannot be written"):
        OutboxMailer(tmp_path / "outbox", SENDER).send(MAIL)
    assert os.listdir(tmp_path) == ["outbox"]


def test_mail_behind_the_back_goes_on_after_a_failure() -> None:
    mailer = KeepingMailer()
    postman = Postman(mailer)
    mailer.error = AccountsAway("away")
    with capture_logs() as logs:
        postman.post(Mail("a@example.org", "lost", "secret-key", "secret-key"))
        postman.flush()
    assert [entry["event"] for entry in logs] == ["mail.not_sent"]
    assert "secret-key" not in repr(logs)
    mailer.error = None
    postman.post(MAIL)
    postman.close()
    assert mailer.mails == [MAIL]


LINK = "https://case.example.org/auth/verify?key=0-1&x=<y>"
LIFE = timedelta(minutes=30)


@pytest.mark.parametrize(
    "mail",
    [
        letters.verification("a@example.org", "Anna <b>", LINK, LIFE),
        letters.reset("a@example.org", "Anna <b>", LINK, LIFE),
        letters.invitation("a@example.org", Role.EXAMINER, LINK, LIFE),
    ],
)
def test_letters_say_the_same_twice_and_hold_no_markup_of_others(mail: Mail) -> None:
    assert LINK in mail.text
    assert "30 minutes" in mail.text
    assert "<b>" not in mail.html
    assert "x=<y>" not in mail.html
    assert mail.html.count("<a ") == 1
    assert 'href="https://case.example.org/auth/verify?key=0-1&amp;x=&lt;y&gt;"' in mail.html


@pytest.mark.parametrize(
    ("life", "said"),
    [(timedelta(days=7), "7 days"), (timedelta(hours=24), "1 day"), (timedelta(hours=2), "2 hours"),
     (timedelta(minutes=90), "90 minutes"), (timedelta(seconds=5), "5 seconds")],
)  # fmt: skip
def test_spans_are_said_in_words(life: timedelta, said: str) -> None:
    assert f"for {said}." in letters.invitation("a@example.org", Role.VIEWER, LINK, life).text


def test_a_changed_password_is_told_without_a_link() -> None:
    assert "<a " not in letters.password_changed("a@example.org", "Anna").html
