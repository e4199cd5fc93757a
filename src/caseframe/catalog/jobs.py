"""Jobs: which source, which stages, in which state."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, delete, func, insert, select, update

from caseframe.catalog import triggers
from caseframe.catalog.gallery_tables import galleries, tiles
from caseframe.catalog.tables import files, images, jobs, now
from caseframe.domain.errors import NotFound
from caseframe.domain.work import JobState


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands; `source` is the absolute path of the folder, `stages` names.

    `walked_at` is when the last walk through the source came to its end, None where it did not.
    """

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
    owner_id: str | None = None
    walked_at: datetime | None = None


def job_of(row: Mapping[str, Any] | RowMapping) -> Job:
    """The job that a row of the table says."""
    values = dict(row)
    values["source"] = bytes(values["source"])
    values["state"] = JobState(values["state"])
    values["stages"] = tuple(json.loads(values["stages"]))
    return Job(**values)


def create_job(
    connection: Connection,
    name: str,
    source: bytes,
    stages: tuple[str, ...],
    description: str = "",
    owner_id: str | None = None,
) -> Job:
    """A new job, not started; without an owner it is seen by administrators."""
    number = str(uuid.uuid4())
    row = {
        "id": number,
        "name": name,
        "description": description,
        "source": source,
        "state": JobState.CREATED,
        "stages": json.dumps(stages),
        "created_at": now(),
        "owner_id": owner_id,
    }
    connection.execute(insert(jobs), row)
    return get_job(connection, number)


def get_job(connection: Connection, number: str) -> Job:
    """The job of that id. Raises NotFound."""
    row = connection.execute(select(jobs).where(jobs.c.id == number)).mappings().first()
    if row is None:
        raise NotFound(f"there is no job {number}")
    return job_of(row)


def of_id(number: str) -> ColumnElement[bool]:
    """A condition on the table jobs: the one of that id."""
    return jobs.c.id == number


def find_job(connection: Connection, source: bytes | None) -> Job | None:
    """The job that was started last, else the newest, or None; over that folder if one is given."""
    order = (jobs.c.started_at.is_(None), jobs.c.started_at.desc(), jobs.c.created_at.desc())
    query = select(jobs).order_by(*order)
    if source is not None:
        query = query.where(jobs.c.source == source)
    row = connection.execute(query).mappings().first()
    return job_of(row) if row else None


def find_or_create_job(
    connection: Connection, name: str, source: bytes, stages: tuple[str, ...]
) -> Job:
    """`find_job`, and one is made if there is none; two callers get the same one."""
    if connection.dialect.name == "postgresql":  # SQLite lets in one writer at a time anyway
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext("caseframe.jobs"))))
    return find_job(connection, source) or create_job(connection, name, source, stages)


def list_jobs(connection: Connection) -> list[Job]:
    """All jobs, oldest first."""
    rows = connection.execute(select(jobs).order_by(jobs.c.created_at)).mappings()
    return [job_of(row) for row in rows]


def start_job(
    connection: Connection, number: str, stages: tuple[str, ...], *, walk: bool = True
) -> Job:
    """Mark a job as running, with these stages beside those it had; `walk`: through its source."""
    before = get_job(connection, number).stages
    anew = {"walked_at": None} if walk else {}
    connection.execute(
        update(jobs)
        .where(jobs.c.id == number)
        .values(
            state=JobState.RUNNING,
            stages=json.dumps(tuple(dict.fromkeys((*before, *stages)))),
            reason=None,
            started_at=now(),
            finished_at=None,
            **anew,
        )
    )
    return get_job(connection, number)


def end_walk(connection: Connection, number: str) -> None:
    """Note that every name of the source was met."""
    connection.execute(update(jobs).where(jobs.c.id == number).values(walked_at=now()))


def finish_job(connection: Connection, number: str) -> None:
    """Record that all was done that there was to do.

    Where no walk came to its end there may be files that nobody has met: it counts as stopped.
    """
    walked = get_job(connection, number).walked_at is not None
    end_job(connection, number, JobState.FINISHED if walked else JobState.STOPPED)


def change_job(
    connection: Connection,
    number: str,
    *,
    name: str | None = None,
    description: str | None = None,
    stages: tuple[str, ...] | None = None,
) -> None:
    """Change what people say of a job, or its stages; None leaves as it is."""
    values = {
        "name": name,
        "description": description,
        "stages": None if stages is None else json.dumps(stages),
    }
    given = {column: value for column, value in values.items() if value is not None}
    if given:
        connection.execute(update(jobs).where(jobs.c.id == number).values(**given))


def queue_job(connection: Connection, number: str) -> None:
    """Mark a job as waiting for its turn. Raises NotFound."""
    get_job(connection, number)
    connection.execute(
        update(jobs).where(jobs.c.id == number).values(state=JobState.QUEUED, reason=None)
    )


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
    """Remove a job with all that no other job shows, at once.

    One transaction, so meant for small jobs; removal.remove_job does it in steps.
    """
    while forget_some(connection, number):
        pass
    last: int | None = 0
    while last is not None:
        ids, last = unshown(connection, last)
        forget_unshown(connection, ids)
    forget_job(connection, number)


def forget_job(connection: Connection, number: str) -> None:
    """Remove a job that has no files any more."""
    connection.execute(delete(jobs).where(jobs.c.id == number))


def unshown(
    connection: Connection, after: int = 0, limit: int = 10_000
) -> tuple[list[int], int | None]:
    """Images, of `limit` behind one, at which no file points; and the last looked at.

    None instead of that at the end.
    """
    some = select(images.c.id).where(images.c.id > after).order_by(images.c.id).limit(limit)
    last: int | None = connection.scalar(select(func.max(some.subquery().c.id)))
    if last is None:
        return [], None
    here = images.c.id.between(after + 1, last)
    # Both sides are bounded, or PostgreSQL goes through the files from the first one each time.
    pointed = files.c.image_id.between(after + 1, last), files.c.image_id == images.c.id
    query = select(images.c.id).where(here, ~select(files.c.id).where(*pointed).exists())
    return list(connection.scalars(query.order_by(images.c.id))), last


def forget_unshown(connection: Connection, ids: Collection[int]) -> None:
    """Remove those of these images that no file holds, such as what one held before it changed."""
    triggers.lock(connection)
    pointed = select(files.c.image_id).where(files.c.image_id.in_(ids))
    # A file that could not be read the last time keeps its digest, and so what was found in it.
    same = select(files.c.id).where(files.c.sha256 == images.c.sha256)
    kept = select(images.c.id).where(images.c.id.in_(ids), same.exists())
    gone = set(ids) - set(connection.scalars(pointed)) - set(connection.scalars(kept))
    connection.execute(delete(images).where(images.c.id.in_(gone)))


def forget_some(connection: Connection, number: str, limit: int = 1000) -> int:
    """Remove `limit` files of a job; how many went.

    With them go their images and all results where no file of any job shows them any more.
    """
    triggers.lock(connection)
    query = select(files.c.id, files.c.image_id).where(files.c.job_id == number)
    gone = connection.execute(query.limit(limit)).all()
    connection.execute(delete(files).where(files.c.id.in_([row[0] for row in gone])))
    shown = {row[1] for row in gone if row[1] is not None}
    elsewhere = set(connection.scalars(
        select(files.c.image_id).where(files.c.image_id.in_(shown)).distinct()))  # fmt: skip
    connection.execute(delete(images).where(images.c.id.in_(shown - elsewhere)))
    if elsewhere:
        _forget_tiles(connection, number, elsewhere)
    return len(gone)


def _forget_tiles(connection: Connection, number: str, image_ids: set[int]) -> None:
    """Remove this job's tiles of images of which it has no file any more."""
    still = select(files.c.image_id).where(
        files.c.image_id == tiles.c.image_id, files.c.job_id == number
    )
    gallery = select(galleries.c.number).where(galleries.c.job_id == number).scalar_subquery()
    connection.execute(
        delete(tiles).where(
            tiles.c.image_id.in_(image_ids), tiles.c.gallery == gallery, ~still.exists()
        )
    )
