"""Finding single files and what resembles them; listing what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from sqlalchemy import Connection, Select, func, literal, select, union_all

from caseframe.catalog.tables import files, images, problems, stands_at, tasks, texts, thumbnails
from caseframe.domain.evidence import PROBLEM_STATES, SCAN
from caseframe.domain.work import TaskState

_TOGETHER = 10_000  # PostgreSQL takes at most 65,535 values in one query


def find_by_path(connection: Connection, job: str, path: bytes) -> int | None:
    """Id of the file of a job at exactly this path, or None."""
    query = select(files.c.id).where(files.c.job_id == job, stands_at(connection, [path]))
    return connection.scalar(query)


def find_by_digest(connection: Connection, job: str, digest: bytes) -> list[int]:
    """Ids of a job's files with this content; the digest is SHA-256, SHA-1 or MD5 by its length."""
    column = {32: files.c.sha256, 20: files.c.sha1, 16: files.c.md5}[len(digest)]
    query = select(files.c.id).where(files.c.job_id == job, column == digest)
    return list(connection.scalars(query.order_by(files.c.id)))


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One path at which an image's content stands."""

    image_id: int
    path: bytes


def occurrences(connection: Connection, image_ids: Sequence[int], job: str) -> list[Occurrence]:
    """The paths at which these images stand now within a job, in path order."""
    found = []
    for start in range(0, len(image_ids), _TOGETHER):
        query = select(files.c.image_id, files.c.path).where(
            files.c.image_id.in_(image_ids[start : start + _TOGETHER]),
            files.c.job_id == job,
            ~files.c.missing,
        )
        found += [Occurrence(i, bytes(path)) for i, path in connection.execute(query)]
    return sorted(found, key=attrgetter("path"))


def image_of(connection: Connection, file_id: int) -> int | None:
    """The image that a file holds, or None when it is no picture."""
    return connection.scalar(select(files.c.image_id).where(files.c.id == file_id))


def hashes(
    connection: Connection, job: str, least_quality: int, *, present: bool = False
) -> Iterator[tuple[int, bytes]]:
    """(image id, 32-byte PDQ) of the pictures of a job whose hash says enough, streamed by id.

    With `present`, of those only that the last scan found.
    """
    here = select(files.c.id).where(files.c.image_id == images.c.id, files.c.job_id == job)
    if present:
        here = here.where(~files.c.missing)
    last = 0
    while True:
        query = (
            select(images.c.id, images.c.pdq)
            .where(
                images.c.id > last,
                images.c.pdq.is_not(None),
                images.c.pdq_quality >= least_quality,
                here.exists(),
            )
            .order_by(images.c.id)
            .limit(5000)
        )
        rows = connection.execute(query).all()
        if not rows:
            return
        yield from ((number, bytes(bits)) for number, bits in rows)
        last = rows[-1][0]


def exact_duplicates(connection: Connection, job: str) -> list[int]:
    """Images of a job that stand at more than one path now."""
    query = (
        select(files.c.image_id)
        .where(files.c.job_id == job, files.c.image_id.is_not(None), ~files.c.missing)
        .group_by(files.c.image_id)
        .having(func.count() > 1)
        .order_by(files.c.image_id)
    )
    return list(connection.scalars(query))


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that people must know of one file: from the scanner (`scan`) or a stage."""

    path: bytes
    stage: str
    reason: str


def list_problems(
    connection: Connection, job: str, stage: str | None = None, limit: int | None = None
) -> Iterator[Problem]:
    """All problems of a job by path, then stage."""
    query = _all_problems(job)
    c = query.c
    ordered = select(c.path, c.stage, c.reason).order_by(c.path, c.stage, c.reason)
    if stage is not None:
        ordered = ordered.where(c.stage == stage)
    if limit is not None:
        ordered = ordered.limit(limit)
    for path, name, reason in connection.execute(ordered):
        yield Problem(bytes(path), name, reason or "no reason was recorded")


def count_problems(connection: Connection, job: str) -> dict[str, int]:
    """How many problems each stage has in a job."""
    c = _all_problems(job).c
    rows = connection.execute(select(c.stage, func.count()).group_by(c.stage))
    return {stage: count for stage, count in rows}  # noqa: C416 - rows are no plain pairs


def _all_problems(job: str):  # type: ignore[no-untyped-def]  # a subquery of three columns
    states: Select[tuple[bytes, str, str | None]] = select(
        files.c.path, literal(SCAN).label("stage"), files.c.reason
    ).where(files.c.job_id == job, files.c.state.in_(PROBLEM_STATES))
    of_files = (
        select(files.c.path, problems.c.stage, problems.c.reason)
        .join(files, files.c.id == problems.c.file_id)
        .where(files.c.job_id == job)
    )
    of_images = (
        select(files.c.path, problems.c.stage, problems.c.reason)
        .join(files, files.c.image_id == problems.c.image_id)
        .where(files.c.job_id == job)
    )
    of_tasks = (
        select(files.c.path, tasks.c.stage, tasks.c.reason)
        .join(files, files.c.image_id == tasks.c.image_id)
        .where(files.c.job_id == job, tasks.c.state == TaskState.FAILED)
    )
    return union_all(states, of_files, of_images, of_tasks).subquery()


def thumbnail(connection: Connection, image_id: int) -> bytes | None:
    """The JPEG of an image's thumbnail, or None when it has none."""
    data = connection.scalar(select(thumbnails.c.data).where(thumbnails.c.image_id == image_id))
    return None if data is None else bytes(data)


def text_of(connection: Connection, image_id: int, stage: str, field: str) -> str | None:
    """What a stage said of an image under a field's name, the first where there are several."""
    query = select(texts.c.value).where(
        texts.c.image_id == image_id, texts.c.stage == stage, texts.c.field == field
    )
    return connection.scalar(query.order_by(texts.c.id).limit(1))
