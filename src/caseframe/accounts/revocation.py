"""Ended sessions, known to all services at once.

The catalog is what counts: it marks a session as ended in the transaction that ends it, and every
access token is held against it. In Redis the same is written for the life of an access token, so
that a refusal costs no look into the database, and holds where the database was set back.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Protocol


class Revocations(Protocol):
    """Which sessions have ended, beside what the catalog says; neither call raises."""

    def end(self, session_ids: Iterable[str], life: timedelta) -> None:
        """Remember for `life` that these have ended; call it after the commit."""

    def ended(self, session_id: str) -> bool:
        """Whether it is known to have ended; False where nobody knows, the catalog may."""


class CatalogRevocations:
    """The catalog alone."""

    def end(self, session_ids: Iterable[str], life: timedelta) -> None:
        """Nothing to do: the transaction said it."""

    def ended(self, session_id: str) -> bool:  # noqa: ARG002
        """Only the catalog knows."""
        return False
