"""The texts of the mails. A name in them is letters only, so nobody writes others a message."""

from __future__ import annotations

from datetime import timedelta
from html import escape

from caseframe.accounts.mail import Mail
from caseframe.domain.access import Role

_IGNORE = "If you did not ask for this, you can ignore this mail; nothing happens then."


def verification(to: str, name: str, link: str, life: timedelta) -> Mail:
    """Asks to confirm an address."""
    return _letter(
        to,
        "Confirm your e-mail address",
        f"Hello {name},",
        "please confirm your e-mail address for Caseframe:",
        link,
        f"The link works once and for {_span(life)}. {_IGNORE}",
    )


def reset(to: str, name: str, link: str, life: timedelta) -> Mail:
    """Lets somebody choose a new password."""
    return _letter(
        to,
        "Choose a new password",
        f"Hello {name},",
        "here you can choose a new password for Caseframe:",
        link,
        f"The link works once and for {_span(life)}. {_IGNORE}",
    )


def invitation(to: str, role: Role, link: str, life: timedelta) -> Mail:
    """Invites somebody into a case."""
    return _letter(
        to,
        "You are invited to a Caseframe case",
        "Hello,",
        f"you are invited to look at a case in Caseframe as {role}. Make your account here:",
        link,
        f"The link works once and for {_span(life)}.",
    )


def password_changed(to: str, name: str) -> Mail:
    """Says that the password is another now."""
    return _letter(
        to,
        "Your password was changed",
        f"Hello {name},",
        "the password of your Caseframe account was changed, and all devices were signed out.",
        None,
        "If that was not you, ask for a new password on the sign-in page and tell an "
        "administrator of your case.",
    )


def _letter(to: str, subject: str, hello: str, ask: str, link: str | None, closing: str) -> Mail:
    parts = [hello, ask, *([link] if link else []), closing]
    text = "\n\n".join(parts) + "\n"
    body = "\n".join(
        f'<p><a href="{escape(part)}">{escape(part)}</a></p>'
        if part == link
        else f"<p>{escape(part)}</p>"
        for part in parts
    )
    title = escape(subject)
    html = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"</head><body>\n{body}\n</body></html>\n"
    )
    return Mail(to, subject, text, html)


def _span(life: timedelta) -> str:
    minutes = int(life.total_seconds()) // 60
    for size, unit in ((1440, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size and minutes % size == 0:
            count = minutes // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{int(life.total_seconds())} seconds"
