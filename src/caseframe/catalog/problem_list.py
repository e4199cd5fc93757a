"""The problems of a job, in pages, and trying again.

Four kinds follow each other: files with a problem state, remarks of the scan on single files,
failed (and on demand unavailable) tasks, remarks of stages. Within a kind a page goes by key, so
the last page costs what the first one does. No index knows where a text stands in them, so a page
of a search for one ends when some thousands were looked at.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import gt, le
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)

from caseframe.catalog import triggers
from caseframe.catalog.gallery import gallery_of
from caseframe.catalog.gallery_tables import IMAGE_BITS, tiles
from caseframe.catalog.tables import files, problems, tasks
from caseframe.catalog.tiling import refresh
from caseframe.domain.errors import UsageError
from caseframe.domain.evidence import PROBLEM_STATES, SCAN
from caseframe.domain.text import storable
from caseframe.domain.work import TaskState


class ProblemKind(StrEnum):
    """What kind of problem it is; only failed and unavailable tasks can be tried again."""

    FILE = "file"
    NOTE = "note"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"
    REMARK = "remark"


@dataclass(frozen=True, slots=True)
class ListedProblem:
    """One problem, of one file; `image_id` and `attempts` are None where there is none."""

    kind: ProblemKind
    path: bytes
    path_text: str
    stage: str
    reason: str
    image_id: int | None = None
    version: str | None = None
    attempts: int | None = None


@dataclass(frozen=True, slots=True)
class ProblemPage:
    """Problems in their order, and the cursor of the next page.

    A page of a search for a text may be short, or empty, although there is a next one.
    """

    problems: tuple[ListedProblem, ...] = ()
    next: str | None = None


@dataclass(frozen=True, slots=True)
class ProblemQuery:
    """Which problems: of one stage (`scan` for the files), of some kinds, with a text.

    The text is looked for in path and reason, in upper or lower case.
    """

    stage: str | None = None
    kinds: tuple[ProblemKind, ...] = tuple(ProblemKind)
    text: str = ""


_ALL = ProblemQuery()
_ORDER = tuple(ProblemKind)
_OF_TASKS = frozenset({ProblemKind.FAILED, ProblemKind.UNAVAILABLE})
# In these words, or SQLite does not see that its index of files with problems will do.
_PROBLEM_FILES = text("files.state NOT IN ('picture', 'not-a-picture')")
_UNFINISHED = text("tasks.state <> 'done'")
MOST = 500
MOST_LOOKED_AT = 2000
"""Problems of one kind that a page of a search for a text looks at."""
_Found = tuple[ListedProblem, list[Any]]


def problem_list(
    connection: Connection,
    job_id: str,
    query: ProblemQuery = _ALL,
    *,
    after: str | None = None,
    limit: int = 100,
) -> ProblemPage:
    """A page of at most `limit` problems. Raises UsageError for a bad cursor, NotFound."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"a page has 1 to {MOST} problems, not {limit}")
    gallery = gallery_of(connection, job_id)
    kind, key = _ORDER[0], None
    if after is not None:
        kind, key = _read_cursor(after)
    found: list[_Found] = []
    for this in (this for this in _ORDER[_ORDER.index(kind) :] if this in query.kinds):
        asked = _Asked(this, job_id, gallery, query)
        some, end = asked.next(connection, key if this is kind else None, limit + 1 - len(found))
        found += some
        if len(found) > limit:
            return _page(found[:limit], found[limit - 1][0].kind, found[limit - 1][1])
        if end is not None:
            return _page(found, this, end)
    return _page(found)


def _page(
    found: list[_Found], kind: ProblemKind | None = None, key: Sequence[Any] = ()
) -> ProblemPage:
    cursor = None if kind is None else _cursor(kind, key)
    return ProblemPage(tuple(problem for problem, _ in found), cursor)


def _cursor(kind: ProblemKind, key: Sequence[Any]) -> str:
    plain = json.dumps([kind, *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[ProblemKind, list[Any]]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        name, *key = json.loads(base64.b64decode(padded, b"-_", validate=True))
        kind = ProblemKind(name)
        shape = [str, int] if kind in _OF_TASKS else [int]
        if [type(part) for part in key] != shape or abs(key[-1]) >= 2**63:
            raise ValueError
        if "\\0" in str(key[0]) or storable(str(key[0])) != str(key[0]):
            raise ValueError
        return kind, key
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise UsageError("this is no place in the list of problems; begin at its start") from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """The problems of one kind that a query asks for."""

    kind: ProblemKind
    job: str
    gallery: int
    query: ProblemQuery

    def next(
        self, connection: Connection, key: Sequence[Any] | None, limit: int
    ) -> tuple[list[_Found], list[Any] | None]:
        """Problems behind a key; and the key up to which all were looked at, None for the end."""
        wanted, keys = _SELECTS[self.kind](self.job, self.gallery)
        if self.query.stage is not None:
            wanted = wanted.where(_stage(self.kind) == storable(self.query.stage))
        if key is not None:
            wanted = wanted.where(_compared(keys, gt, key))
        wanted = wanted.order_by(*keys)
        end = None
        if self.query.text:
            last = wanted.with_only_columns(*keys).offset(MOST_LOOKED_AT - 1).limit(1)
            if (row := connection.execute(last).first()) is not None:
                end = list(row)
                wanted = wanted.where(_compared(keys, le, end))
            wanted = wanted.where(_says(self.kind, self.query.text))
        rows = connection.execute(wanted.limit(limit)).all()
        return [(_problem(self.kind, row), list(row[: len(keys)])) for row in rows], end


def _compared(
    keys: Sequence[ColumnElement[Any]], compare: Callable[[Any, Any], Any], key: Sequence[Any]
) -> ColumnElement[bool]:
    # Rows of one part are compared by the part, because SQLite takes no index for such rows.
    sides = (tuple_(*keys), tuple_(*key)) if len(keys) > 1 else (keys[0], key[0])
    condition: ColumnElement[bool] = compare(*sides)
    return condition


def _problem(kind: ProblemKind, row: Sequence[Any]) -> ListedProblem:
    image, version, attempts, path, path_text, stage, reason = row[-7:]
    return ListedProblem(
        kind, bytes(path), path_text, stage, reason or "no reason was recorded", image, version,
        attempts,
    )  # fmt: skip


def _told_in(kind: ProblemKind) -> Table:
    """The table that has the reason."""
    if kind is ProblemKind.FILE:
        return files
    return tasks if kind in _OF_TASKS else problems


def _stage(kind: ProblemKind) -> ColumnElement[Any]:
    return literal(SCAN) if kind is ProblemKind.FILE else _told_in(kind).c.stage


def _says(kind: ProblemKind, words: str) -> ColumnElement[bool]:
    wanted = storable(words)
    return or_(
        files.c.path_text.icontains(wanted, autoescape=True),
        _told_in(kind).c.reason.icontains(wanted, autoescape=True),
    )


_Select = tuple[Select[Any], list[ColumnElement[Any]]]
_NULL: Any = literal(None)


def _files(job_id: str, _gallery: int) -> _Select:
    c = files.c
    query = select(
        c.id, c.image_id, _NULL, _NULL, c.path, c.path_text, literal(SCAN), c.reason
    ).where(c.job_id == job_id, _PROBLEM_FILES, c.state.in_(PROBLEM_STATES))
    return query, [c.id]


def _notes(job_id: str, _gallery: int) -> _Select:
    c = problems.c
    query = (
        select(c.id, files.c.image_id, _NULL, _NULL, files.c.path, files.c.path_text, c.stage,
               c.reason)
        .join(files, files.c.id == c.file_id)
        # In these words, or SQLite begins with all files of the job, and not with the problems.
        .where(files.c.job_id.concat("") == job_id)
    )  # fmt: skip
    return query, [c.id]


def _remarks(_job: str, gallery: int) -> _Select:
    c = problems.c
    query = (
        select(c.id, c.image_id, _NULL, _NULL, files.c.path, files.c.path_text, c.stage, c.reason)
        .join(tiles, tiles.c.id == _tile(gallery, c.image_id))
        .join(files, files.c.id == tiles.c.file_id)
    )
    return query, [c.id]


def _tile(gallery: int, image: ColumnElement[int]) -> ColumnElement[int]:
    """The id of an image's tile: so that no database begins with all tiles of a gallery."""
    return image + literal(gallery << IMAGE_BITS, BigInteger)


def _tasks(state: TaskState, gallery: int) -> _Select:
    c = tasks.c
    query = (
        select(c.stage, c.image_id, c.image_id.label("image"), c.version, c.attempts, files.c.path,
               files.c.path_text, c.stage.label("said_by"), c.reason)
        .join(tiles, tiles.c.id == _tile(gallery, c.image_id))
        .join(files, files.c.id == tiles.c.file_id)
        .where(_UNFINISHED, c.state == state)
    )  # fmt: skip
    return query, [c.stage, c.image_id]


_SELECTS = {
    ProblemKind.FILE: _files,
    ProblemKind.NOTE: _notes,
    ProblemKind.FAILED: lambda _, gallery: _tasks(TaskState.FAILED, gallery),
    ProblemKind.UNAVAILABLE: lambda _, gallery: _tasks(TaskState.UNAVAILABLE, gallery),
    ProblemKind.REMARK: _remarks,
}


# ---- trying again ---------------------------------------------------------------------------


def retry(
    connection: Connection,
    job_id: str,
    versions: Mapping[str, str],
    *,
    stage: str | None = None,
    image_ids: Sequence[int] | None = None,
) -> int:
    """Make failed and unavailable tasks of a job pending again; how many.

    `versions` are the stages that can work now; all of their tasks, or those of one `stage`, or of
    some images.
    """
    triggers.lock(connection)
    gallery = gallery_of(connection, job_id)
    here = select(tiles.c.id).where(
        tiles.c.image_id == tasks.c.image_id, tiles.c.gallery == gallery
    )
    wanted = [(s, v) for s, v in versions.items() if stage in {None, s}]
    if not wanted:
        return 0
    condition = and_(
        _UNFINISHED,
        tasks.c.state.in_((TaskState.FAILED, TaskState.UNAVAILABLE)),
        tuple_(tasks.c.stage, tasks.c.version).in_(wanted),
        here.exists(),
    )
    if image_ids is not None:
        condition = and_(condition, tasks.c.image_id.in_(image_ids))
    ids = set(connection.scalars(select(tasks.c.image_id).where(condition)))
    done = connection.execute(
        update(tasks).where(condition).values(state=TaskState.PENDING, reason=None)
    )
    refresh(connection, ids)
    return done.rowcount
