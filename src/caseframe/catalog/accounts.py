"""Users and who they are at other providers."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    delete,
    func,
    literal,
    select,
    update,
)

from caseframe.catalog.account_tables import identities, users
from caseframe.catalog.inserting import upsert
from caseframe.catalog.tables import jobs, now
from caseframe.domain.access import EmailTaken, NotThere, Role
from caseframe.domain.people import User, UserFilter, UserPage
from caseframe.domain.text import storable

_SHOWN = (
    users.c.id, users.c.email, users.c.first_name, users.c.last_name, users.c.role,
    users.c.verified_at, users.c.disabled_at, users.c.created_at, users.c.last_seen_at,
    users.c.password_hash.is_not(None).label("has_password"),
)  # fmt: skip


def _user(row: RowMapping) -> User:
    values = dict(row)
    values["role"] = Role(values["role"])
    values["has_password"] = bool(values["has_password"])
    return User(**values)


def add_user(
    connection: Connection,
    *,
    email: str,
    email_key: str,
    first_name: str,
    last_name: str,
    role: Role,
    password_hash: str | None = None,
    verified: bool = False,
) -> User:
    """A new user. Raises EmailTaken, also when another request was a moment faster."""
    number = str(uuid.uuid4())
    present = now()
    row = {
        "id": number,
        "email": email,
        "email_key": email_key,
        "first_name": first_name,
        "last_name": last_name,
        "search_text": _search_text(first_name, last_name, email),
        "password_hash": password_hash,
        "role": role,
        "verified_at": present if verified else None,
        "created_at": present,
    }
    # Nothing raised by the database: a failed statement would end PostgreSQL's transaction.
    upsert(connection, users, [row])
    found = find_by_email(connection, email_key)
    if found is None or found.id != number:
        raise EmailTaken
    return found


def find_user(connection: Connection, number: str) -> User | None:
    """The user of that id, or None."""
    return _one(connection, users.c.id == number)


def get_user(connection: Connection, number: str) -> User:
    """The user of that id. Raises NotThere."""
    found = find_user(connection, number)
    if found is None:
        raise NotThere("there is no such user")
    return found


def find_by_email(connection: Connection, email_key: str) -> User | None:
    """The user with that address, or None."""
    return _one(connection, users.c.email_key == email_key)


def _one(connection: Connection, condition: ColumnElement[bool]) -> User | None:
    row = connection.execute(select(*_SHOWN).where(condition)).mappings().first()
    return _user(row) if row else None


def password_hash(connection: Connection, number: str) -> str | None:
    """The stored digest of a user's password, None without one."""
    found: str | None = connection.scalar(select(users.c.password_hash).where(users.c.id == number))
    return found


def change_user(connection: Connection, number: str, **values: Any) -> User:
    """Set columns of a user. Raises NotThere."""
    connection.execute(update(users).where(users.c.id == number).values(**values))
    return get_user(connection, number)


def rename_user(connection: Connection, number: str, first_name: str, last_name: str) -> User:
    """Give a user another name. Raises NotThere."""
    user = get_user(connection, number)
    found = _search_text(first_name, last_name, user.email)
    return change_user(
        connection, number, first_name=first_name, last_name=last_name, search_text=found
    )


def _search_text(first_name: str, last_name: str, email: str) -> str:
    return f"{first_name} {last_name} {email}".casefold()


def replace_hash(connection: Connection, number: str, before: str, after: str) -> None:
    """Store a password's digest of another cost, unless the password was changed meanwhile."""
    connection.execute(
        update(users)
        .where(users.c.id == number, users.c.password_hash == before)
        .values(password_hash=after)
    )


def list_users(
    connection: Connection, wanted: UserFilter, after: str | None, limit: int
) -> UserPage:
    """A page of users by address, after that address key."""
    query = select(*_SHOWN, users.c.email_key).where(*_conditions(wanted))
    if after is not None:
        query = query.where(users.c.email_key > after)
    rows = connection.execute(query.order_by(users.c.email_key).limit(limit + 1)).mappings().all()
    more = rows[limit - 1]["email_key"] if len(rows) > limit else None
    plain = [{k: v for k, v in row.items() if k != "email_key"} for row in rows[:limit]]
    return UserPage(tuple(_user(row) for row in plain), more)  # type: ignore[arg-type]


def _conditions(wanted: UserFilter) -> list[ColumnElement[bool]]:
    words = storable(wanted.text).casefold().split()
    found = [users.c.search_text.contains(word, autoescape=True) for word in words]
    if wanted.role is not None:
        found.append(users.c.role == wanted.role)
    if wanted.verified is not None:
        found.append(users.c.verified_at.is_not(None) == literal(wanted.verified))
    if wanted.disabled is not None:
        found.append(users.c.disabled_at.is_not(None) == literal(wanted.disabled))
    return found


def hold_administrators(connection: Connection) -> None:
    """Let one transaction at a time change who is administrator, until this one ends."""
    if connection.dialect.name == "postgresql":  # SQLite lets in one writer at a time anyway
        lock = func.pg_advisory_xact_lock(func.hashtext("caseframe.administrators"))
        connection.execute(select(lock))


def administrators(connection: Connection, *, besides: str = "") -> int:
    """How many administrators could sign in now, not counting one user."""
    found = connection.scalar(
        select(func.count())
        .select_from(users)
        .where(
            users.c.role == Role.ADMINISTRATOR,
            users.c.disabled_at.is_(None),
            users.c.verified_at.is_not(None),
            users.c.id != besides,
        )
    )
    return int(found or 0)


def find_by_identity(connection: Connection, provider: str, subject: str) -> User | None:
    """The user who signs in there under that subject, or None."""
    number = connection.scalar(
        select(identities.c.user_id).where(
            identities.c.provider == provider, identities.c.subject == subject
        )
    )
    return find_user(connection, number) if number else None


def add_identity(connection: Connection, provider: str, subject: str, user_id: str) -> None:
    """Link a user with an identity; nothing happens where it is linked already."""
    row = {"provider": provider, "subject": subject, "user_id": user_id, "created_at": now()}
    upsert(connection, identities, [row])


def identities_of(connection: Connection, user_id: str) -> tuple[str, ...]:
    """Names of the providers at which a user signs in."""
    query = select(identities.c.provider).where(identities.c.user_id == user_id).distinct()
    return tuple(connection.scalars(query.order_by(identities.c.provider)))


def remove_user(connection: Connection, number: str) -> None:
    """Delete a user with sessions, keys, identities and shares; jobs stay and lose the owner."""
    connection.execute(update(jobs).where(jobs.c.owner_id == number).values(owner_id=None))
    connection.execute(delete(users).where(users.c.id == number))


def jobs_of(connection: Connection, number: str) -> list[tuple[str, str, str]]:
    """(id, name, state) of the jobs that a user owns, oldest first."""
    query = select(jobs.c.id, jobs.c.name, jobs.c.state).where(jobs.c.owner_id == number)
    return [tuple(row) for row in connection.execute(query.order_by(jobs.c.created_at))]


def give_jobs(connection: Connection, before: str, after: str | None) -> None:
    """Give all jobs of one user to another, or to nobody."""
    connection.execute(update(jobs).where(jobs.c.owner_id == before).values(owner_id=after))
