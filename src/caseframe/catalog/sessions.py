"""Sessions: one row a sign-in, holding the digest of the one refresh token that is good."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from caseframe.catalog.account_tables import sessions, users
from caseframe.catalog.tables import now
from caseframe.domain.access import Principal, Role
from caseframe.domain.people import Client, Session

_TEXT_LENGTH = 300


def add_session(
    connection: Connection,
    number: str,
    user_id: str,
    refresh_digest: bytes,
    expires_at: datetime,
    client: Client,
) -> None:
    """A new session; its refresh token has that SHA-256."""
    present = now()
    row = {
        "id": number,
        "user_id": user_id,
        "refresh_digest": refresh_digest,
        "created_at": present,
        "used_at": present,
        "expires_at": expires_at,
        "user_agent": _tidy(client.user_agent),
        "address": _tidy(client.address),
    }
    connection.execute(insert(sessions), row)


def _tidy(text: str) -> str:
    return "".join(c for c in text if c.isprintable())[:_TEXT_LENGTH]


def rotate(
    connection: Connection,
    number: str,
    before: bytes,
    after: bytes,
    expires_at: datetime,
    client: Client,
) -> bool:
    """Put the digest of the next refresh token in place of `before`.

    False where `before` is not, or no longer, the good one. One of two that race gets True.
    """
    changed = connection.execute(
        update(sessions)
        .where(
            sessions.c.id == number,
            sessions.c.refresh_digest == before,
            sessions.c.ended_at.is_(None),
        )
        .values(
            refresh_digest=after,
            used_at=now(),
            expires_at=expires_at,
            user_agent=_tidy(client.user_agent),
            address=_tidy(client.address),
        )
    )
    return changed.rowcount == 1


def principal_of(
    connection: Connection, number: str, user_id: str, present: datetime, token: str
) -> Principal | None:
    """The person of a session that is alive, None for anybody else; one look at two keys."""
    query = (
        select(users.c.email, users.c.first_name, users.c.last_name, users.c.role)
        .join_from(sessions, users, users.c.id == sessions.c.user_id)
        .where(
            sessions.c.id == number,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > present,
            users.c.id == user_id,
            users.c.disabled_at.is_(None),
            users.c.verified_at.is_not(None),
        )
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    return Principal(user_id, number, row[0], row[1], row[2], Role(row[3]), token)


def list_sessions(
    connection: Connection, user_id: str, current: str, present: datetime
) -> list[Session]:
    """A user's sessions that are alive, the last used first."""
    query = (
        select(
            sessions.c.id, sessions.c.created_at, sessions.c.used_at, sessions.c.expires_at,
            sessions.c.user_agent, sessions.c.address,
        )
        .where(
            sessions.c.user_id == user_id,
            sessions.c.ended_at.is_(None),
            sessions.c.expires_at > present,
        )
        .order_by(sessions.c.used_at.desc(), sessions.c.id)
    )  # fmt: skip
    rows = connection.execute(query).all()
    return [Session(*row, current=row[0] == current) for row in rows]


def end_session(connection: Connection, user_id: str, number: str, reason: str) -> bool:
    """End one session of that user; False where there is none that is alive."""
    changed = connection.execute(
        update(sessions)
        .where(
            sessions.c.id == number, sessions.c.user_id == user_id, sessions.c.ended_at.is_(None)
        )
        .values(ended_at=now(), end_reason=reason)
    )
    return changed.rowcount == 1


def end_all_sessions(
    connection: Connection, user_id: str, reason: str, *, besides: str = ""
) -> list[str]:
    """End all sessions of a user but one; the ids of those that ended."""
    changed = connection.scalars(
        update(sessions)
        .where(
            sessions.c.user_id == user_id,
            sessions.c.id != besides,
            sessions.c.ended_at.is_(None),
        )
        .values(ended_at=now(), end_reason=reason)
        .returning(sessions.c.id)
    )
    return list(changed)


def forget_sessions(connection: Connection, before: datetime) -> None:
    """Drop sessions that expired before then; their tokens cannot come back."""
    connection.execute(delete(sessions).where(sessions.c.expires_at < before))
