"""Questions about files and images that the planning of a scan asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from caseframe.catalog import triggers
from caseframe.catalog.tables import files, images, path_digests, stands_at, tasks
from caseframe.domain.evidence import PICTURE_STATES, FileState
from caseframe.domain.work import TaskState

# Where a stage was unavailable, a task says so, and comes up again when the stage is there.
_SETTLED = (TaskState.DONE, TaskState.FAILED, TaskState.UNAVAILABLE)


class KnownFile(NamedTuple):
    """What the catalog holds of one occurrence. A tuple, because scans make one for every file."""

    id: int
    path: bytes
    size: int
    modified_ns: int
    state: str
    sha256: bytes | None
    missing: bool
    mime: str | None = None


_COLUMNS = "id, path, size, modified_ns, state, sha256, missing, mime"


def files_at(connection: Connection, job: str, paths: Sequence[bytes]) -> dict[bytes, KnownFile]:
    """The occurrences of a job at these paths."""
    # Said in SQL of our own: to spell out hundreds of paths takes longer than to find them.
    if connection.dialect.name == "postgresql":
        query = f"SELECT {_COLUMNS} FROM files WHERE job_id = %s AND sha256(path) = ANY(%s)"  # noqa: S608
        rows = connection.exec_driver_sql(query, (job, path_digests(paths)))
    else:
        marks = ",".join("?" * len(paths))
        query = f"SELECT {_COLUMNS} FROM files WHERE job_id = ? AND path IN ({marks})"  # noqa: S608
        rows = connection.exec_driver_sql(query, (job, *paths))
    return {row[1]: KnownFile(*row) for row in rows.all()}


def files_page(
    connection: Connection, job: str, *, after: int = 0, limit: int = 1000
) -> list[KnownFile]:
    """Occurrences of a job in the order they were found, from the one behind the id `after`."""
    c = files.c
    query = select(c.id, c.path, c.size, c.modified_ns, c.state, c.sha256, c.missing, c.mime)
    page = query.where(c.job_id == job, c.id > after).order_by(c.id).limit(limit)
    return [KnownFile(*row) for row in connection.execute(page).all()]


def count_rows(connection: Connection, job: str) -> int:
    """How many names the catalog holds of a job, those that are missing now included."""
    query = select(func.count()).select_from(files).where(files.c.job_id == job)
    return connection.scalar(query) or 0


def mark_missing(connection: Connection, ids: Collection[int], *, missing: bool) -> None:
    """Note whether these files are there or not."""
    triggers.lock(connection)
    if ids:
        connection.execute(update(files).where(files.c.id.in_(ids)).values(missing=missing))


def forget(connection: Connection, ids: Collection[int]) -> None:
    """Remove the rows of these names, and their problems; they must hold no content."""
    triggers.lock(connection)
    if ids:
        connection.execute(delete(files).where(files.c.id.in_(ids), files.c.sha256.is_(None)))


def settled_by_size(
    connection: Connection,
    sizes: Collection[int],
    versions: Mapping[str, str],
    *,
    most: int,
    states: Collection[FileState] = PICTURE_STATES,
    run: tuple[str, datetime | None] | None = None,
) -> dict[int, frozenset[bytes]]:
    """Digests of images of these sizes whose tasks of all these stages are done, by size.

    Only images in these `states`, and whatever `run` has met: a job, since that time.
    At most `most` in all, so that a collection of files that all have one size costs no more.
    """
    wanted = [(stage, version) for stage, version in versions.items()]
    done = (
        select(func.count())
        .where(
            tasks.c.image_id == images.c.id,
            tasks.c.state.in_(_SETTLED),
            or_(*(and_(tasks.c.stage == s, tasks.c.version == v) for s, v in wanted)),
        )
        .scalar_subquery()
    )
    trusted: ColumnElement[bool] = images.c.state.in_(states)
    if run is not None:
        job, since = run
        here = and_(files.c.image_id == images.c.id, files.c.job_id == job)
        trusted = or_(trusted, exists().where(here, files.c.examined_at >= since))
    query = select(images.c.size, images.c.sha256).where(images.c.size.in_(sizes), trusted)
    if wanted:
        query = query.where(done == len(wanted))
    found: dict[int, set[bytes]] = {}
    for size, sha256 in connection.execute(query.limit(most)):
        found.setdefault(size, set()).add(bytes(sha256))
    return {size: frozenset(digests) for size, digests in found.items()}


class OpenTasks(NamedTuple):
    """A picture at a path, with the stages (and versions) that are not done with it."""

    image_id: int
    sha256: str
    md5: str
    open: Mapping[str, frozenset[str]]


def open_tasks_at(
    connection: Connection, job: str, paths: Sequence[bytes]
) -> dict[bytes, OpenTasks]:
    """The pictures that stand at these paths of a job and have tasks that are not done.

    A task that failed counts as open: an answer that comes after all is better.
    """
    if not paths:
        return {}
    query = (
        select(
            files.c.path, images.c.id, images.c.sha256, images.c.md5, tasks.c.stage,
            tasks.c.version,
        )
        .join(images, images.c.id == files.c.image_id)
        .join(tasks, tasks.c.image_id == images.c.id)
        .where(
            files.c.job_id == job,
            stands_at(connection, paths),
            tasks.c.state != TaskState.DONE,
        )
    )  # fmt: skip
    found: dict[bytes, OpenTasks] = {}
    for path, number, sha256, md5, stage, version in connection.execute(query):
        digests = bytes(sha256).hex(), bytes(md5).hex()
        before = found.get(bytes(path), OpenTasks(number, *digests, {}))
        versions = before.open.get(stage, frozenset()) | {version}
        found[bytes(path)] = before._replace(open={**before.open, stage: versions})
    return found
