"""The secret that signs tokens: made once in the case folder, or given to services."""

from __future__ import annotations

import os
import secrets
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr

from caseframe.domain.errors import CaseError, UsageError

SECRET_FILE = "token.key"  # noqa: S105 - the file's name, not what is in it
_LEAST = 32
_SAMPLES = ("secret", "change", "example", "sample", "password", "default", "replace", "caseframe")
_HOW = "make one with: openssl rand -base64 48"


def case_secret(folder: Path) -> SecretStr:
    """The secret of a case, made on the first start (mode 0600). Raises CaseError, UsageError."""
    file = folder / SECRET_FILE
    try:
        if not file.exists():
            _make(file)
        if file.stat().st_mode & 0o077:
            raise CaseError(f"others can read {file}, which signs tokens; run: chmod 600 {file}")
        return checked(file.read_text("ascii", "replace"))
    except OSError as error:
        raise CaseError(f"the secret {file} cannot be used: {error.strerror}") from error


def _make(file: Path) -> None:
    """Write a fresh secret; of two programs that start together, both end with the same one."""
    fresh = file.with_name(f".{SECRET_FILE}.{secrets.token_hex(8)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(secrets.token_urlsafe(48) + "\n")
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(fresh, file)
        except FileExistsError:
            return
    finally:
        fresh.unlink()


def given_secret(secret: SecretStr | None, file: Path | None) -> SecretStr:
    """The secret that settings give to services; they never make one up. Raises UsageError."""
    if secret is not None:
        return checked(secret.get_secret_value())
    if file is None:
        raise UsageError(f"set CASEFRAME_TOKEN_SECRET_FILE, the same for all services; {_HOW}")
    try:
        return checked(file.read_text("ascii", "replace"))
    except OSError as error:
        raise UsageError(f"token_secret_file {file} cannot be read: {error.strerror}") from error


def scrape_token(token: SecretStr | None, file: Path | None) -> SecretStr | None:
    """The token for /metrics that the settings give, None without one. Raises UsageError."""
    if token is not None:
        return checked(token.get_secret_value(), "metrics_token")
    if file is None:
        return None
    try:
        return checked(file.read_text("ascii", "replace"), "metrics_token")
    except OSError as error:
        raise UsageError(f"metrics_token_file {file} cannot be read: {error.strerror}") from error


def checked(text: str, what: str = "the token secret") -> SecretStr:
    """The secret, if it is one. Raises UsageError for short, sample and patterned ones."""
    text = text.strip()
    if len(text.encode()) < _LEAST:
        raise UsageError(f"{what} is shorter than {_LEAST} characters; {_HOW}")
    if any(word in text.lower() for word in _SAMPLES) or _patterned(text):
        raise UsageError(f"{what} looks like a sample, which anybody can know; {_HOW}")
    return SecretStr(text)


def _patterned(text: str) -> bool:
    steps = [ord(b) - ord(a) for a, b in pairwise(text)]
    commonest = max(steps.count(step) for step in set(steps))
    repeated = (text + text).find(text, 1) < len(text)
    return len(set(text)) < 8 or repeated or commonest > len(steps) // 2
