"""Counts that people are shown: how far a job is, and a card for each job.

They are read from the tallies that triggers keep (triggers.py), so they cost the same for ten
pictures and for ten million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, select, tuple_

from caseframe.catalog.gallery import gallery_of
from caseframe.catalog.gallery_tables import galleries, tallies, tiles
from caseframe.catalog.jobs import Job, job_of
from caseframe.catalog.tables import UtcTime, jobs, microseconds, moment_of, thumbnails
from caseframe.catalog.triggers import CHANGES
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import PICTURE_STATES, PROBLEM_STATES, FileState
from caseframe.domain.work import JobState, TaskState

_MOST_CARDS = 500
_LOOKED_AT = 50  # pictures among which one with a thumbnail is looked for


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How many pictures of a job stand in each state of one stage and version."""

    stage: str
    version: str
    found: int = 0
    none_found: int = 0
    failed: int = 0
    unavailable: int = 0
    pending: int = 0

    @property
    def done(self) -> int:
        """Pictures for which the stage came to a result."""
        return self.found + self.none_found

    @property
    def total(self) -> int:
        """All pictures that have a task of the stage."""
        return self.done + self.failed + self.unavailable + self.pending


@dataclass(frozen=True, slots=True)
class TypeCount:
    """Files and bytes of one type."""

    mime: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is. `pictures` are different contents; `problems` are remarks by stage."""

    files: dict[FileState, int] = field(default_factory=dict)
    missing: int = 0
    bytes: int = 0
    pictures: int = 0
    formats: dict[str, int] = field(default_factory=dict)
    types: tuple[TypeCount, ...] = ()
    stages: tuple[StageProgress, ...] = ()
    problems: dict[str, int] = field(default_factory=dict)

    @property
    def has_problems(self) -> bool:
        """Whether people must be told about anything in the job."""
        return bool(
            any(self.files.get(state) for state in PROBLEM_STATES)
            or self.problems
            or any(stage.failed for stage in self.stages)
        )


def gallery_state(connection: Connection, job_id: str) -> tuple[int, int]:
    """(how often the gallery changed, its pictures): other ones whenever it shows other things.

    Raises NotFound.
    """
    c = tallies.c
    query = select(c.topic, func.sum(c.count)).where(
        c.gallery == gallery_of(connection, job_id), c.topic.in_((CHANGES, "tile"))
    )
    found = {topic: int(count) for topic, count in connection.execute(query.group_by(c.topic))}
    return found.get(CHANGES, 0), found.get("tile", 0)


_Row = tuple[str, str, str, str, int, int]


def progress(connection: Connection, job_id: str) -> JobProgress:
    """How far a job is. Raises NotFound."""
    return _progress(_rows(connection, [gallery_of(connection, job_id)]).get(
        gallery_of(connection, job_id), []))  # fmt: skip


def _rows(connection: Connection, numbers: list[int]) -> dict[int, list[_Row]]:
    """The tallies of these galleries by gallery: (topic, a, b, c, count, bytes)."""
    c = tallies.c
    query = select(c.gallery, c.topic, c.a, c.b, c.c, c.count, c.bytes).where(
        c.gallery.in_(numbers),
        c.topic.in_(("file", "task", "problem", "tile", "format")),
        c.count > 0,
    )
    found: dict[int, list[_Row]] = {}
    for number, *row in connection.execute(query):
        found.setdefault(number, []).append(tuple(row))
    return found


def _progress(rows: list[_Row]) -> JobProgress:
    files: dict[FileState, int] = {}
    types: dict[str, tuple[int, int]] = {}
    missing = 0
    for _, state, mime, gone, count, size in _of(rows, "file"):
        files[FileState(state)] = files.get(FileState(state), 0) + count
        before = types.get(mime, (0, 0))
        types[mime] = before[0] + count, before[1] + size
        missing += count if gone else 0
    listed = [TypeCount(mime or "unknown", *both) for mime, both in types.items()]
    return JobProgress(
        files=files,
        missing=missing,
        bytes=sum(kind.bytes for kind in listed),
        pictures=sum(row[4] for row in _of(rows, "tile")),
        formats={row[1]: row[4] for row in sorted(_of(rows, "format"), key=lambda r: -r[4])},
        types=tuple(sorted(listed, key=lambda kind: (-kind.files, kind.mime))),
        stages=tuple(_stages(rows)),
        problems={row[1]: row[4] for row in _of(rows, "problem")},
    )


def task_states(connection: Connection) -> dict[tuple[str, str], int]:
    """How many tasks of all jobs stand in each state, by (stage, state)."""
    c = tallies.c
    query = select(c.a, c.c, func.sum(c.count)).where(c.topic == "task").group_by(c.a, c.c)
    found: dict[tuple[str, str], int] = {}
    for stage, state, count in connection.execute(query):
        key = stage, state.rstrip("+-")
        found[key] = found.get(key, 0) + int(count)
    return found


def _of(rows: list[_Row], topic: str) -> list[_Row]:
    return [row for row in rows if row[0] == topic]


_NAMES = {
    f"{TaskState.DONE}+": "found",
    f"{TaskState.DONE}-": "none_found",
    TaskState.DONE: "none_found",
    TaskState.FAILED: "failed",
    TaskState.UNAVAILABLE: "unavailable",
}


def _stages(rows: list[_Row]) -> Iterator[StageProgress]:
    counts: dict[tuple[str, str], dict[str, int]] = {}
    for _, stage, version, state, count, _size in _of(rows, "task"):
        name = _NAMES.get(state) or _NAMES.get(state.rstrip("+-"), "pending")
        of_stage = counts.setdefault((stage, version), {})
        of_stage[name] = of_stage.get(name, 0) + count
    for (stage, version), found in sorted(counts.items()):
        yield StageProgress(stage, version, **found)


# ---- cards ----------------------------------------------------------------------------------


class CardState(StrEnum):
    """What the icon of a job says."""

    EMPTY = "empty"
    NO_PICTURES = "no pictures"
    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    FAILED = "failed"
    COMPLETE = "complete"
    PROBLEMS = "complete with problems"


@dataclass(frozen=True, slots=True)
class JobCard:
    """One job in the list of jobs; `thumbnail` is the id of an image that has one, or None."""

    job: Job
    state: CardState
    progress: JobProgress
    thumbnail: int | None


def job_cards(
    connection: Connection,
    scope: ColumnElement[bool],
    *,
    after: str | None = None,
    limit: int = 100,
) -> list[JobCard]:
    """Cards of the jobs within `scope` (shares.visible_jobs), the newest first.

    `after` is the `job_cursor` of the last job of the page before; or its id, as long as it is
    still there. Raises UsageError for others.
    """
    query = _with_gallery(scope).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
    if after is not None:
        moment, number = _place(connection, after)
        place = tuple_(literal(moment, UtcTime()), literal(number))
        query = query.where(tuple_(jobs.c.created_at, jobs.c.id) < place)
    rows = connection.execute(query.limit(min(limit, _MOST_CARDS))).mappings().all()
    counted = _rows(connection, [row["number"] for row in rows])
    return [_card(connection, dict(row), counted) for row in rows]


def job_cursor(job: Job) -> str:
    """The place of a job in `job_cards`, whether or not it will still be there."""
    return f"{microseconds(job.created_at)}.{job.id}"


def _place(connection: Connection, cursor: str) -> tuple[datetime, str]:
    moment, dot, number = cursor.rpartition(".")
    made: datetime | None
    if dot:
        made = _moment(moment)
    else:
        made = connection.scalar(select(jobs.c.created_at).where(jobs.c.id == number))
    if made is None:
        raise UsageError("this is no place in the list of jobs any more; begin at its start")
    return made, number


def _moment(text: str) -> datetime | None:
    try:
        return moment_of(int(text))
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class CountedJob:
    """One job with what was found in it."""

    job: Job
    progress: JobProgress


def counted_jobs(
    connection: Connection,
    scope: ColumnElement[bool],
    *,
    after: tuple[datetime, str] | None = None,
    descending: bool = False,
    state: JobState | None = None,
    limit: int = 100,
) -> list[CountedJob]:
    """Jobs within `scope` in the order in which they were made, or `descending` the other way.

    `after` is the time and id of a job, whether or not it is still there; `state` leaves out all
    jobs in others.
    """
    key = tuple_(jobs.c.created_at, jobs.c.id)
    query = _with_gallery(scope)
    if state is not None:
        query = query.where(jobs.c.state == state)
    if after is not None:
        place = tuple_(literal(after[0], UtcTime()), literal(after[1]))
        query = query.where(key < place if descending else key > place)
    columns = (jobs.c.created_at, jobs.c.id)
    order = [column.desc() if descending else column.asc() for column in columns]
    rows = connection.execute(query.order_by(*order).limit(limit)).mappings().all()
    counted = _rows(connection, [row["number"] for row in rows])
    return [_counted(dict(row), counted) for row in rows]


def _with_gallery(scope: ColumnElement[bool]) -> Select[Any]:
    query = select(jobs, galleries.c.number).join(galleries, galleries.c.job_id == jobs.c.id)
    return query.where(scope)


def _counted(row: dict[str, Any], counted: dict[int, list[_Row]]) -> CountedJob:
    number: int = row.pop("number")
    return CountedJob(job_of(row), _progress(counted.get(number, [])))


def _card(
    connection: Connection, row: dict[str, object], counted: dict[int, list[_Row]]
) -> JobCard:
    number = row.pop("number")
    assert isinstance(number, int)  # noqa: S101 - a column of the query
    job, found = job_of(row), _progress(counted.get(number, []))
    return JobCard(job, _state(job, found), found, _thumbnail(connection, number))


def _state(job: Job, found: JobProgress) -> CardState:
    if job.state is JobState.FINISHED:
        if found.has_problems:
            return CardState.PROBLEMS
        return CardState.COMPLETE if found.pictures else CardState.NO_PICTURES
    if job.state is JobState.CREATED:
        return CardState.EMPTY
    return CardState(job.state.value)


def _thumbnail(connection: Connection, number: int) -> int | None:
    first = select(tiles.c.image_id).where(
        tiles.c.gallery == number, tiles.c.state.in_(sorted(PICTURE_STATES))
    )
    some = first.order_by(tiles.c.path_key, tiles.c.id).limit(_LOOKED_AT).subquery()
    query = select(func.min(thumbnails.c.image_id)).where(
        thumbnails.c.image_id.in_(select(some.c.image_id))
    )
    found: int | None = connection.scalar(query)
    return found
