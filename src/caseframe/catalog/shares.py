"""Whose a job is and who else may see it."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, delete, or_, select, true

from caseframe.catalog.account_tables import shares, users
from caseframe.catalog.inserting import upsert
from caseframe.catalog.tables import jobs, now
from caseframe.domain.access import JobAccess, Principal, Role
from caseframe.domain.people import Share


def job_access(connection: Connection, job_id: str, user_id: str) -> JobAccess:
    """What a user is to a job; NONE also where there is no such job."""
    query = (
        select(jobs.c.owner_id, shares.c.level)
        .outerjoin(shares, (shares.c.job_id == jobs.c.id) & (shares.c.user_id == user_id))
        .where(jobs.c.id == job_id)
    )
    row = connection.execute(query).first()
    if row is None:
        return JobAccess.NONE
    return JobAccess.OWNER if row[0] == user_id else JobAccess(row[1] or JobAccess.NONE)


def job_exists(connection: Connection, job_id: str) -> bool:
    """Whether there is a job of that id."""
    return connection.scalar(select(jobs.c.id).where(jobs.c.id == job_id)) is not None


def visible_jobs(principal: Principal) -> ColumnElement[bool]:
    """A condition on the table jobs: those that the person may see."""
    if principal.role is Role.ADMINISTRATOR:
        return true()
    shared = select(shares.c.job_id).where(shares.c.user_id == principal.user_id)
    return or_(jobs.c.owner_id == principal.user_id, jobs.c.id.in_(shared))


def sees_one_over(connection: Connection, principal: Principal, folders: Collection[bytes]) -> bool:
    """Whether the person may see a job whose source is one of these absolute folders."""
    query = select(jobs.c.id).where(visible_jobs(principal), jobs.c.source.in_(folders))
    return connection.scalar(query.limit(1)) is not None


def share_job(connection: Connection, job_id: str, user_id: str, level: JobAccess) -> None:
    """Let a user into a job, or change the level that they have."""
    row = {"job_id": job_id, "user_id": user_id, "level": level, "created_at": now()}
    upsert(connection, shares, [row], update=["level"])


def unshare_job(connection: Connection, job_id: str, user_id: str) -> bool:
    """Shut a user out of a job again; False where it was not shared with them."""
    gone = connection.execute(
        delete(shares).where(shares.c.job_id == job_id, shares.c.user_id == user_id)
    )
    return gone.rowcount == 1


def unshare_all(connection: Connection, job_id: str) -> None:
    """Shut everybody out of a job but its owner and administrators."""
    connection.execute(delete(shares).where(shares.c.job_id == job_id))


def shares_of(connection: Connection, job_id: str) -> list[Share]:
    """With whom a job is shared, by address."""
    query = (
        select(
            users.c.id, users.c.email, users.c.first_name + " " + users.c.last_name,
            shares.c.level, shares.c.created_at,
        )
        .join_from(shares, users, users.c.id == shares.c.user_id)
        .where(shares.c.job_id == job_id)
        .order_by(users.c.email_key)
    )  # fmt: skip
    rows = connection.execute(query).all()
    return [Share(row[0], row[1], row[2], JobAccess(row[3]), row[4]) for row in rows]
