"""Passwords as argon2id digests; few at once, because each takes its memory."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from caseframe.domain.access import AccountsAway

_MOST = 1024


@dataclass(frozen=True, slots=True)
class PasswordOptions:
    """Cost of one digest and how many are made at once.

    The defaults are RFC 9106's second recommended set (64 MiB, 3 passes) with 2 lanes, so that
    hashing takes at most `at_once` x 64 MiB. `wait_seconds` bounds how long a caller queues.
    """

    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 2
    at_once: int = 4
    wait_seconds: float = 10.0


class Passwords:
    """Makes and checks digests. Safe to use from many threads."""

    def __init__(self, options: PasswordOptions) -> None:
        self._options = options
        self._hash = PasswordHash(
            (Argon2Hasher(options.passes, options.memory_kib, options.lanes),)
        )
        self._turns = threading.BoundedSemaphore(options.at_once)
        # What an unknown account is checked against, so that it takes as long as a known one.
        self._nobody = self._hash.hash("no password has this digest")

    def digest(self, password: str) -> str:
        """A salted digest of the password. Raises AccountsAway when there is no turn in time."""
        with self._turn():
            return self._hash.hash(_plain(password))

    def check(self, password: str, digest: str | None) -> tuple[bool, str | None]:
        """Whether the password has that digest, and a new digest where the cost has changed.

        Without a digest it takes the same time and is False.
        """
        with self._turn():
            right, better = self._hash.verify_and_update(_plain(password), digest or self._nobody)
        return (right, better) if digest else (False, None)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._options.wait_seconds):
            raise AccountsAway("too many people sign in at the moment; try again in a minute")
        try:
            yield
        finally:
            self._turns.release()


def _plain(password: str) -> bytes:
    # Keyboards differ in how they compose an accent (NIST SP 800-63B, 3.1.1.2); what cannot be
    # encoded matches nothing and must not raise; what is too long to match costs no more.
    text = unicodedata.normalize("NFKC", password[:_MOST])
    return text.encode("utf-8", "surrogatepass")
