"""Jobs: which source, which stages, in which state."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from caseframe.catalog.tables import jobs, now
from caseframe.domain.errors import NotFound
from caseframe.domain.work import JobState


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands; `source` is the absolute path of the folder, `stages` names."""

    id: str
    name: str
    description: str
    source: bytes
    state: JobState
    stages: tuple[str, ...]
    reason: str | None
    planned: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def _job(row: RowMapping) -> Job:
    values = dict(row)
    values["source"] = bytes(values["source"])
    values["state"] = JobState(values["state"])
    values["stages"] = tuple(json.loads(values["stages"]))
    return Job(**values)


def create_job(
    connection: Connection, name: str, source: bytes, stages: tuple[str, ...], description: str = ""
) -> Job:
    """A new job, not started."""
    number = str(uuid.uuid4())
    row = {
        "id": number,
        "name": name,
        "description": description,
        "source": source,
        "state": JobState.CREATED,
        "stages": json.dumps(stages),
        "created_at": now(),
    }
    connection.execute(insert(jobs), row)
    return get_job(connection, number)


def get_job(connection: Connection, number: str) -> Job:
    """The job of that id. Raises NotFound."""
    row = connection.execute(select(jobs).where(jobs.c.id == number)).mappings().first()
    if row is None:
        raise NotFound(f"there is no job {number}")
    return _job(row)


def find_job(connection: Connection, source: bytes) -> Job | None:
    """The newest job over that source folder, or None."""
    query = select(jobs).where(jobs.c.source == source).order_by(jobs.c.created_at.desc())
    row = connection.execute(query).mappings().first()
    return _job(row) if row else None


def find_or_create_job(
    connection: Connection, name: str, source: bytes, stages: tuple[str, ...]
) -> Job:
    """The newest job over that source, made if there is none; two callers get the same one."""
    if connection.dialect.name == "postgresql":  # SQLite lets in one writer at a time anyway
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("caseframe.jobs"))))
    return find_job(connection, source) or create_job(connection, name, source, stages)


def list_jobs(connection: Connection) -> list[Job]:
    """All jobs, oldest first."""
    rows = connection.execute(select(jobs).order_by(jobs.c.created_at)).mappings()
    return [_job(row) for row in rows]


def start_job(connection: Connection, number: str, stages: tuple[str, ...]) -> Job:
    """Mark a job as running, with these stages beside those it had."""
    before = get_job(connection, number).stages
    connection.execute(
        update(jobs)
        .where(jobs.c.id == number)
        .values(
            state=JobState.RUNNING,
            stages=json.dumps(tuple(dict.fromkeys((*before, *stages)))),
            reason=None,
            started_at=now(),
            finished_at=None,
        )
    )
    return get_job(connection, number)


def set_planned(connection: Connection, number: str, planned: str) -> None:
    """Note for which stages and versions every image of the job has a task."""
    connection.execute(update(jobs).where(jobs.c.id == number).values(planned=planned))


def end_job(
    connection: Connection, number: str, state: JobState, reason: str | None = None
) -> None:
    """Record how a run of the job ended."""
    ended = now() if state in {JobState.FINISHED, JobState.FAILED} else None
    connection.execute(
        update(jobs)
        .where(jobs.c.id == number)
        .values(state=state, reason=reason, finished_at=ended)
    )


def delete_job(connection: Connection, number: str) -> None:
    """Remove a job and its files' rows; content that other jobs hold stays."""
    connection.execute(delete(jobs).where(jobs.c.id == number))
