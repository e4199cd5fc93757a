"""One-time keys: links in mails and the one that makes the first administrator."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, select, update

from caseframe.catalog.account_tables import keys
from caseframe.domain.access import Role
from caseframe.domain.people import Invitation


class Purpose(StrEnum):
    """What a key opens, once."""

    VERIFY = "verify"
    RESET = "reset"
    INVITE = "invite"
    FIRST = "first"


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Whom a key is for: a user, or an address that has no account yet."""

    user_id: str | None = None
    email: str | None = None
    email_key: str | None = None
    role: Role | None = None


def make_key(
    connection: Connection, purpose: Purpose, holder: KeyHolder, present: datetime, end: datetime
) -> tuple[str, str]:
    """(id, key) of a new key; the key itself, 122 random bits as a UUID, is stored nowhere."""
    number, key = str(uuid.uuid4()), str(uuid.uuid4())
    row = {
        "id": number,
        "digest": _digest(key),
        "purpose": purpose,
        "user_id": holder.user_id,
        "email": holder.email,
        "email_key": holder.email_key,
        "role": holder.role,
        "created_at": present,
        "expires_at": end,
    }
    connection.execute(insert(keys), row)
    return number, key


def _digest(key: str) -> bytes:
    # Only the form is UUID; reading it as one would let several spellings through.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _good(purpose: Purpose, key: str, present: datetime) -> ColumnElement[bool]:
    return and_(
        keys.c.digest == _digest(key),
        keys.c.purpose == purpose,
        keys.c.used_at.is_(None),
        keys.c.expires_at > present,
    )


def key_is_good(connection: Connection, purpose: Purpose, key: str, present: datetime) -> bool:
    """Whether the key would open something now; using it may still lose a race."""
    return connection.scalar(select(keys.c.id).where(_good(purpose, key, present))) is not None


def use_key(
    connection: Connection, purpose: Purpose, key: str, present: datetime
) -> KeyHolder | None:
    """Whom the key is for, and mark it as used; None if it is not good. One of two racers wins."""
    row = connection.execute(
        update(keys)
        .where(_good(purpose, key, present))
        .values(used_at=present)
        .returning(keys.c.user_id, keys.c.email, keys.c.email_key, keys.c.role)
    ).first()
    return KeyHolder(row[0], row[1], row[2], Role(row[3]) if row[3] else None) if row else None


def look_at_invitation(connection: Connection, key: str, present: datetime) -> Invitation | None:
    """The invitation that a key stands for, without using it."""
    found = _invitations(connection, present, keys.c.digest == _digest(key))
    return found[0] if found else None


def invitation_for(connection: Connection, email_key: str, present: datetime) -> Invitation | None:
    """The newest invitation of that address that is still good."""
    found = _invitations(connection, present, keys.c.email_key == email_key)
    return found[-1] if found else None


def list_invitations(connection: Connection, present: datetime) -> list[Invitation]:
    """All invitations that nobody has used and that are still good, oldest first."""
    return _invitations(connection, present)


def _invitations(connection: Connection, present: datetime, *more: object) -> list[Invitation]:
    query = (
        select(keys.c.id, keys.c.email, keys.c.role, keys.c.created_at, keys.c.expires_at)
        .where(
            keys.c.purpose == Purpose.INVITE,
            keys.c.used_at.is_(None),
            keys.c.expires_at > present,
            *more,  # type: ignore[arg-type]
        )
        .order_by(keys.c.created_at, keys.c.id)
    )
    rows = connection.execute(query).all()
    return [Invitation(row[0], row[1], Role(row[2]), row[3], row[4]) for row in rows]


def drop_key(connection: Connection, purpose: Purpose, number: str) -> bool:
    """Take a key back before it is used; False where there is none."""
    gone = connection.execute(
        delete(keys).where(keys.c.id == number, keys.c.purpose == purpose, keys.c.used_at.is_(None))
    )
    return gone.rowcount == 1


def drop_keys(
    connection: Connection,
    purpose: Purpose,
    *,
    user_id: str | None = None,
    email_key: str | None = None,
) -> None:
    """Take back all keys of that purpose: of one user, of one address, or all."""
    query = delete(keys).where(keys.c.purpose == purpose)
    if user_id is not None:
        query = query.where(keys.c.user_id == user_id)
    if email_key is not None:
        query = query.where(keys.c.email_key == email_key)
    connection.execute(query)


def forget_keys(connection: Connection, before: datetime) -> None:
    """Drop keys that expired before then; they open nothing any more."""
    connection.execute(delete(keys).where(keys.c.expires_at < before))
