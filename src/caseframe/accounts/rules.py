"""What names, e-mail addresses and passwords must be like. Every broken rule is told at once."""

from __future__ import annotations

import re
import unicodedata

from caseframe.domain.access import InvalidInput, NotThere

NAME_LENGTH = 100
PASSWORD_LENGTHS = (8, 128)
_APOSTROPHES = "'’ʼ"
_HYPHENS = "-‐‑"
# RFC 5322's dot-atom and RFC 1035's host name; the limits 64 and 254 are RFC 5321's (4.5.3).
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = re.compile(rf"{_ATOM}(\.{_ATOM})*")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"({_LABEL}\.)+{_LABEL}")
_LONGEST = 254
_EMAIL_RULE = "the e-mail address must be well formed, such as anna@example.org"

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def name_faults(which: str, name: str) -> list[str]:
    """The rules that a name breaks; `which` is how it is called in the message."""
    tidy = name.strip()
    if not any(unicodedata.category(c).startswith("L") for c in tidy):
        return [f"the {which} must hold at least one letter"]
    faults = []
    if len(tidy) > NAME_LENGTH:
        faults.append(f"the {which} must have at most {NAME_LENGTH} characters")
    if not all(_fits_name(c) for c in tidy):
        faults.append(f"the {which} may hold letters, spaces, hyphens and apostrophes only")
    return faults


def _fits_name(character: str) -> bool:
    # Marks are what vowels and accents are in many scripts; they belong to the letter before.
    if character == " " or character in _APOSTROPHES or character in _HYPHENS:
        return True
    return unicodedata.category(character)[0] in "LM"


def tidy_name(name: str) -> str:
    """A name as it is stored: composed (NFC), one space between words."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def password_faults(password: str) -> list[str]:
    """The rules that a new password breaks."""
    least, most = PASSWORD_LENGTHS
    kinds = {unicodedata.category(c) for c in password}
    rules = {
        f"must have {least} to {most} characters": least <= len(password) <= most,
        "must hold a lower-case letter": "Ll" in kinds,
        "must hold an upper-case letter": "Lu" in kinds,
        "must hold a digit": "Nd" in kinds,
        "must hold a symbol, such as ! or -": any(kind[0] in "PS" for kind in kinds),
        # Control characters, lone surrogates: no keyboard gives them the same way twice.
        "must not hold control characters": not kinds & {"Cc", "Cs", "Cn"},
    }
    return [f"the password {rule}" for rule, kept in rules.items() if not kept]


def email_faults(email: str) -> list[str]:
    """The rules that an e-mail address breaks."""
    return [] if _parts(email) else [_EMAIL_RULE]


def email_key(email: str) -> str:
    """What two spellings of one address have in common. Raises InvalidInput."""
    parts = _parts(email)
    if parts is None:
        raise InvalidInput(_EMAIL_RULE)
    return f"{parts[0].lower()}@{parts[1]}"


def mail_address(email: str) -> str:
    """The address to send to: the domain in its ASCII form. Raises InvalidInput."""
    parts = _parts(email)
    if parts is None:
        raise InvalidInput(_EMAIL_RULE)
    return "@".join(parts)


def _parts(email: str) -> tuple[str, str] | None:
    if len(email) > 2 * _LONGEST:  # before the work that grows with it
        return None
    local, at, domain = email.strip(" ").rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None
    whole = len(local) + len(domain) + 1
    if not at or whole > _LONGEST or len(local) > 64:
        return None
    return (local, domain) if _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain) else None


def identifier(text: str, what: str) -> str:
    """The text, if it has the form of our ids; nothing else is ever asked of a database.

    Raises NotThere, saying that there is no such `what`.
    """
    if not _UUID.fullmatch(text):
        raise NotThere(f"there is no such {what}")
    return text


def check(*faults: list[str]) -> None:
    """Raise InvalidInput with all faults, if there are any."""
    found = [fault for group in faults for fault in group]
    if found:
        raise InvalidInput(*found)
