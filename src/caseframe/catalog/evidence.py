"""Questions about files and images that the planning of a scan asks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, func, or_, select, update

from caseframe.catalog.tables import files, images, tasks
from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState

_SETTLED = (TaskState.DONE, TaskState.FAILED)


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the catalog holds of one occurrence."""

    id: int
    path: bytes
    size: int
    modified_ns: int
    state: FileState
    sha256: bytes | None
    missing: bool = False


def files_at(connection: Connection, job: str, paths: Collection[bytes]) -> dict[bytes, KnownFile]:
    """The occurrences of a job at these paths."""
    c = files.c
    query = select(c.id, c.path, c.size, c.modified_ns, c.state, c.sha256, c.missing)
    rows = connection.execute(query.where(c.job_id == job, c.path.in_(paths)))
    return {bytes(row.path): _known(row) for row in rows}


def files_page(
    connection: Connection, job: str, *, after: int = 0, limit: int = 1000
) -> list[KnownFile]:
    """Occurrences of a job in the order they were found, from the one behind the id `after`."""
    c = files.c
    query = select(c.id, c.path, c.size, c.modified_ns, c.state, c.sha256, c.missing)
    page = query.where(c.job_id == job, c.id > after).order_by(c.id).limit(limit)
    return [_known(row) for row in connection.execute(page)]


def _known(row: Any) -> KnownFile:
    return KnownFile(
        id=row.id,
        path=bytes(row.path),
        size=row.size,
        modified_ns=row.modified_ns,
        state=FileState(row.state),
        sha256=None if row.sha256 is None else bytes(row.sha256),
        missing=bool(row.missing),
    )


def mark_seen(connection: Connection, ids: Collection[int], walk: int) -> None:
    """Note that this walk met these files, unchanged."""
    if ids:
        connection.execute(
            update(files).where(files.c.id.in_(ids)).values(walk=walk, missing=False)
        )


def unseen_page(
    connection: Connection, job: str, walk: int, *, after: int = 0, limit: int = 1000
) -> list[KnownFile]:
    """Files of a job that a walk did not meet, by id, from the one behind `after`."""
    c = files.c
    query = select(c.id, c.path, c.size, c.modified_ns, c.state, c.sha256, c.missing)
    page = query.where(c.job_id == job, c.walk != walk, c.id > after).order_by(c.id).limit(limit)
    return [_known(row) for row in connection.execute(page)]


def mark_missing(connection: Connection, ids: Collection[int], *, missing: bool) -> None:
    """Note whether these files are there or not."""
    if ids:
        connection.execute(update(files).where(files.c.id.in_(ids)).values(missing=missing))


def settled_by_size(
    connection: Connection, sizes: Collection[int], versions: Mapping[str, str], *, most: int
) -> dict[int, frozenset[bytes]]:
    """Digests of images of these sizes whose tasks of all these stages are done, by size.

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
    query = select(images.c.size, images.c.sha256).where(images.c.size.in_(sizes))
    if wanted:
        query = query.where(done == len(wanted))
    found: dict[int, set[bytes]] = {}
    for size, sha256 in connection.execute(query.limit(most)):
        found.setdefault(size, set()).add(bytes(sha256))
    return {size: frozenset(digests) for size, digests in found.items()}
