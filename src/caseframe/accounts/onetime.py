"""One-time keys: the seam, and its implementation in the catalog's own table.

Every method is called inside a transaction of the catalog. Where the keys live elsewhere, a key
that was used comes back when the work for which it was used is refused; when the very commit
fails, it stays used, and a new link must be asked for: a key never works twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from caseframe.catalog import keys
from caseframe.catalog.keys import KeyHolder, Purpose
from caseframe.domain.people import Invitation


class OneTimeKeys(Protocol):
    """Keys that open something once. `AccountsAway` can come from any call."""

    def make(
        self,
        connection: Connection,
        purpose: Purpose,
        holder: KeyHolder,
        present: datetime,
        end: datetime,
    ) -> tuple[str, str]:
        """(id, key) of a new key; only a digest of the key itself is stored."""

    def is_good(
        self, connection: Connection, purpose: Purpose, key: str, present: datetime
    ) -> bool:
        """Whether the key would open something now; using it may still lose a race."""

    def using(
        self, connection: Connection, purpose: Purpose, key: str, present: datetime
    ) -> AbstractContextManager[KeyHolder | None]:
        """Use a key up for the work of the block; it stays good when the block raises.

        Yields whom it is for, None if it is not good. One of two racers gets it.
        """

    def invitation(self, connection: Connection, key: str, present: datetime) -> Invitation | None:
        """The invitation that a key stands for, without using it."""

    def invitation_for(
        self, connection: Connection, email_key: str, present: datetime
    ) -> Invitation | None:
        """The newest invitation of that address that is still good."""

    def invitations(self, connection: Connection, present: datetime) -> list[Invitation]:
        """All invitations that nobody has used and that are still good, oldest first."""

    def drop(self, connection: Connection, purpose: Purpose, number: str) -> bool:
        """Take a key back before it is used; False where there is none."""

    def drop_all(
        self,
        connection: Connection,
        purpose: Purpose,
        *,
        user_id: str | None = None,
        email_key: str | None = None,
    ) -> None:
        """Take back all keys of that purpose: of one user, of one address, or all."""

    def forget(self, connection: Connection, before: datetime) -> None:
        """Drop what expired before then."""


class CatalogKeys:
    """Keys in the catalog: all happens in the transaction, or nothing."""

    make = staticmethod(keys.make_key)
    is_good = staticmethod(keys.key_is_good)
    invitation = staticmethod(keys.look_at_invitation)
    invitation_for = staticmethod(keys.invitation_for)
    invitations = staticmethod(keys.list_invitations)
    drop = staticmethod(keys.drop_key)
    drop_all = staticmethod(keys.drop_keys)
    forget = staticmethod(keys.forget_keys)

    @contextmanager
    def using(
        self, connection: Connection, purpose: Purpose, key: str, present: datetime
    ) -> Iterator[KeyHolder | None]:
        """Use a key up for the work of the block."""
        yield keys.use_key(connection, purpose, key, present)
