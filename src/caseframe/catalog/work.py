"""Tasks: which are due, and the counts that people are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Text,
    and_,
    exists,
    false,
    func,
    literal,
    or_,
    select,
    text,
    update,
)

from caseframe.catalog import triggers
from caseframe.catalog.database import Catalog
from caseframe.catalog.inserting import upsert
from caseframe.catalog.patience import never
from caseframe.catalog.results import payloads
from caseframe.catalog.tables import files, images, tasks
from caseframe.catalog.tiling import refresh
from caseframe.domain.errors import Stopped
from caseframe.domain.evidence import FileState
from caseframe.domain.work import ImageRecord, TaskState

STEP = 1000
"""Images whose tasks are made pending at a time."""


@dataclass(frozen=True, slots=True)
class Due:
    """An image with stages that are due, a path where its content stands, and earlier results."""

    image_id: int
    sha256: bytes
    path: bytes
    stages: tuple[str, ...]
    given: Mapping[str, str]
    record: ImageRecord


def plan_tasks(
    connection: Connection,
    job: str,
    stage: str,
    version: str,
    *,
    state: TaskState = TaskState.PENDING,
    reason: str | None = None,
) -> None:
    """Give every image of the job that has no task of this stage and version one, in `state`."""
    triggers.lock(connection)
    there = exists().where(
        tasks.c.image_id == images.c.id, tasks.c.stage == stage, tasks.c.version == version
    )
    new = select(
        images.c.id, literal(stage), literal(version), literal(state.value), literal(reason, Text)
    ).where(_in_job(job), ~there)
    columns = ["image_id", "stage", "version", "state", "reason"]
    connection.execute(tasks.insert().from_select(columns, new))


def _in_job(job: str) -> ColumnElement[bool]:
    return exists().where(files.c.image_id == images.c.id, files.c.job_id == job)


def reset_tasks(
    connection: Connection, job: str, stage: str, version: str, where: Sequence[ColumnElement[bool]]
) -> int:
    """Make the tasks of a stage pending again for the selected images; how many there are."""
    return _reset(lambda: nullcontext(connection), job, stage, version, where)


def reset_in_steps(
    catalog: Catalog,
    job: str,
    stage: str,
    version: str,
    where: Sequence[ColumnElement[bool]],
    *,
    stop: Callable[[], bool] = never,
) -> int:
    """The same in transactions of `STEP` images, so that others get turns. Raises Stopped."""
    return _reset(catalog.begin, job, stage, version, where, stop)


def _reset(
    begin: Callable[[], AbstractContextManager[Connection]],
    job: str,
    stage: str,
    version: str,
    where: Sequence[ColumnElement[bool]],
    stop: Callable[[], bool] = never,
) -> int:
    count = after = 0
    while True:
        # Both sides are bounded, or PostgreSQL goes through the files from the first one each time.
        here = exists().where(
            files.c.image_id == images.c.id, files.c.job_id == job, files.c.image_id > after
        )
        chosen = select(images.c.id).where(images.c.id > after, here, *where)
        with begin() as connection:
            triggers.lock(connection)
            ids = list(connection.scalars(chosen.order_by(images.c.id).limit(STEP)))
            _make_pending(connection, ids, stage, version)
        count += len(ids)
        if len(ids) < STEP:
            return count
        after = ids[-1]
        if stop():
            raise Stopped


def _make_pending(connection: Connection, ids: list[int], stage: str, version: str) -> None:
    failed = select(tasks.c.image_id).where(
        _UNFINISHED, tasks.c.stage == stage, tasks.c.version == version,
        tasks.c.state == TaskState.FAILED, tasks.c.image_id.in_(ids),
    )  # fmt: skip
    shown = set(connection.scalars(failed))
    task = {"stage": stage, "version": version, "state": TaskState.PENDING, "reason": None}
    rows = [{"image_id": number, **task} for number in ids]
    upsert(connection, tasks, rows, update=("state", "reason"))
    refresh(connection, shown)


def retry_unavailable(connection: Connection, stages: Mapping[str, str]) -> None:
    """Tasks that could not be done because a stage was missing are due now that it is there."""
    triggers.lock(connection)
    for stage, version in stages.items():
        connection.execute(
            update(tasks)
            .where(
                _UNFINISHED,
                tasks.c.stage == stage,
                tasks.c.version == version,
                tasks.c.state == TaskState.UNAVAILABLE,
            )
            .values(state=TaskState.PENDING, reason=None)
        )


# In these words, or SQLite does not see that its index of unfinished tasks will do.
_UNFINISHED = text("tasks.state <> 'done'")


def _open(versions: Mapping[str, str]) -> ColumnElement[bool]:
    current = (and_(tasks.c.stage == s, tasks.c.version == v) for s, v in versions.items())
    return and_(_UNFINISHED, tasks.c.state == TaskState.PENDING, or_(false(), *current))


def _task_in_job(job: str) -> ColumnElement[bool]:
    return exists().where(files.c.image_id == tasks.c.image_id, files.c.job_id == job)


def count_due(connection: Connection, job: str, versions: Mapping[str, str]) -> int:
    """How many images of a job have pending tasks of these stages."""
    query = select(func.count(func.distinct(tasks.c.image_id)))
    return connection.scalar(query.where(_open(versions), _task_in_job(job))) or 0


def due_page(
    connection: Connection,
    job: str,
    versions: Mapping[str, str],
    needs: Mapping[str, Sequence[str]],
    *,
    after: int = 0,
    limit: int = 200,
) -> list[Due]:
    """Images of a job with pending tasks of these stages, by id, from the one behind `after`.

    `needs` names, for each stage, the stages whose results it wants.
    """
    chosen = select(tasks.c.image_id).distinct()
    chosen = chosen.where(tasks.c.image_id > after, _open(versions), _task_in_job(job))
    numbers = list(connection.scalars(chosen.order_by(tasks.c.image_id).limit(limit)))
    stages: dict[int, set[str]] = {}
    query = select(tasks.c.image_id, tasks.c.stage).where(tasks.c.image_id.in_(numbers))
    for number, stage in connection.execute(query.where(_open(versions))):
        stages.setdefault(number, set()).add(stage)
    bases = {base for stage in versions for base in needs.get(stage, ())}
    given = payloads(connection, numbers, bases)
    at = {row.id: row for row in connection.execute(_paths(job, numbers))}
    return [
        Due(
            number,
            bytes(at[number].sha256),
            bytes(at[number].path),
            tuple(stage for stage in versions if stage in stages[number]),
            # A stage that found nothing left no result, and that is a result too: an empty one.
            {base: said or "{}" for base, said in given.get(number, {}).items()},
            _record(at[number]),
        )
        for number in numbers
    ]


def _record(row: Row[Any]) -> ImageRecord:
    return ImageRecord(
        id=row.id,
        md5=bytes(row.md5).hex(),
        sha1=bytes(row.sha1).hex(),
        mime=row.mime,
        size=row.size,
        format=row.format,
        width=row.width,
        height=row.height,
        colorspace=row.colorspace,
        bit_depth=row.bit_depth,
        resolution_dpi=row.resolution_dpi,
        added_at=row.added_at,
    )


def _paths(job: str, numbers: Sequence[int]) -> Select[Any]:
    """Images with a path each, present files after missing ones so that they win."""
    return (
        select(
            images.c.id, images.c.sha256, images.c.md5, images.c.sha1, images.c.mime,
            images.c.size, images.c.format, images.c.width, images.c.height, images.c.colorspace,
            images.c.bit_depth, images.c.resolution_dpi, images.c.added_at, files.c.path,
        )
        .join(files, files.c.image_id == images.c.id)
        .where(images.c.id.in_(numbers), files.c.job_id == job)
        .order_by(files.c.missing.desc(), files.c.id.desc())
    )  # fmt: skip


def count_files(connection: Connection, job: str) -> dict[FileState, int]:
    """How many files of a job stand in each state."""
    query = select(files.c.state, func.count()).where(files.c.job_id == job).group_by(files.c.state)
    return {FileState(state): count for state, count in connection.execute(query)}


def count_types(connection: Connection, job: str) -> list[tuple[str, int, int]]:
    """(type, files, bytes) of a job, most files first."""
    kind = func.coalesce(files.c.mime, "unknown")
    query = (
        select(kind, func.count(), func.sum(files.c.size))
        .where(files.c.job_id == job)
        .group_by(kind)
        .order_by(func.count().desc(), kind)
    )
    return [(mime, count, int(size or 0)) for mime, count, size in connection.execute(query)]


def count_images(connection: Connection, job: str) -> int:
    """How many different pictures a job holds."""
    query = select(func.count(func.distinct(files.c.image_id))).where(files.c.job_id == job)
    return connection.scalar(query) or 0


def count_missing(connection: Connection, job: str) -> int:
    """How many files the last walk did not meet any more."""
    query = select(func.count()).where(files.c.job_id == job, files.c.missing)
    return connection.scalar(query) or 0


@dataclass(frozen=True, slots=True)
class StageCount:
    """How many images of a job stand in one state of one stage; `found` splits the done ones."""

    stage: str
    state: TaskState
    found: bool | None
    count: int


def count_tasks(connection: Connection, job: str, versions: Mapping[str, str]) -> list[StageCount]:
    """The tasks of a job by stage, state and whether something was found."""
    here = select(files.c.image_id).where(files.c.job_id == job).distinct().subquery()
    query = (
        select(tasks.c.stage, tasks.c.state, tasks.c.found, func.count())
        .join(here, here.c.image_id == tasks.c.image_id)
        .where(or_(*(and_(tasks.c.stage == s, tasks.c.version == v) for s, v in versions.items())))
        .group_by(tasks.c.stage, tasks.c.state, tasks.c.found)
    )
    rows = connection.execute(query) if versions else ()
    return [
        StageCount(stage, TaskState(state), None if found is None else bool(found), count)
        for stage, state, found, count in rows
    ]
