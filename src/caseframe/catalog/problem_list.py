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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from operator import gt, itemgetter
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    and_,
    literal,
    select,
    text,
    tuple_,
    update,
)

from caseframe.catalog import triggers
from caseframe.catalog.database import Catalog
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
STEP = 1000
"""Images whose tasks are made pending at a time."""
_AGAIN = (TaskState.FAILED, TaskState.UNAVAILABLE)
_Found = tuple[ListedProblem, list[Any]]
_Keys = list[ColumnElement[Any]]
_Key = Sequence[Any]
_Row = Sequence[Any]


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
        # Cursors of earlier versions of the program name no version of the stage.
        shapes = ([str, int], [str, int, str]) if kind in _OF_TASKS else ([int],)
        if [type(part) for part in key] not in shapes or not all(map(_fits, key)):
            raise ValueError
        return kind, key
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise UsageError("this is no place in the list of problems; begin at its start") from None


def _fits(part: str | int) -> bool:
    return storable(part) == part if isinstance(part, str) else abs(part) < 2**63


@dataclass(frozen=True, slots=True)
class _Asked:
    """The problems of one kind that a query asks for."""

    kind: ProblemKind
    job: str
    gallery: int
    query: ProblemQuery

    def next(
        self, connection: Connection, key: _Key | None, limit: int
    ) -> tuple[list[_Found], list[Any] | None]:
        """Problems behind a key; and the key up to which all were looked at, None for the end."""
        wanted, keys = _SELECTS[self.kind](self.job, self.gallery)
        if self.query.stage is not None:
            wanted = wanted.where(_stage(self.kind) == storable(self.query.stage))
        most = MOST_LOOKED_AT if self.query.text else limit
        read = _tasks_behind if self.kind in _OF_TASKS else _rows_behind
        rows = read(connection, wanted, keys, key, most)
        parts = 3 if self.kind in _OF_TASKS else 1
        found = [(_problem(self.kind, row), list(row[:parts])) for row in rows]
        if not self.query.text:
            return found[:limit], None
        end = found[-1][1] if len(found) >= most else None
        # Told here, because SQLite knows no capital letters beyond A to Z.
        said = storable(self.query.text).casefold()
        return [one for one in found if _says(one[0], said)][:limit], end


def _rows_behind(
    connection: Connection, wanted: Select[Any], keys: _Keys, key: _Key | None, most: int
) -> list[_Row]:
    if key is not None:
        # Rows of one part are compared by the part, because SQLite takes no index for such rows.
        sides = (tuple_(*keys), tuple_(*key)) if len(keys) > 1 else (keys[0], key[0])
        wanted = wanted.where(gt(*sides))
    return list(connection.execute(wanted.order_by(*keys).limit(most)))


def _tasks_behind(
    connection: Connection, wanted: Select[Any], keys: _Keys, key: _Key | None, most: int
) -> list[_Row]:
    """Tasks behind a key: `most` or a few more, or all that are left.

    The index of open tasks knows no versions, and PostgreSQL would sort all that are left by them;
    so those of one image stay together, and are put in order here.
    """

    def of(place: _Key) -> list[_Row]:
        alike = (column == part for column, part in zip(keys, place, strict=True))
        return sorted(connection.execute(wanted.where(*alike)), key=itemgetter(2))

    found: list[_Row] = []
    if key is not None and len(key) > 2:
        found += [row for row in of(key[:2]) if row[2] > key[2]]
    rows = _rows_behind(connection, wanted, keys, key and key[:2], most)
    last = rows[-1][:2] if len(rows) == most else None
    for place, some in groupby(rows, itemgetter(slice(2))):
        found += of(place) if place == last else sorted(some, key=itemgetter(2))
    return found


def _says(problem: ListedProblem, words: str) -> bool:
    return words in problem.path_text.casefold() or words in problem.reason.casefold()


def _problem(kind: ProblemKind, row: Sequence[Any]) -> ListedProblem:
    image, version, attempts, path, path_text, stage, reason = row[-7:]
    return ListedProblem(
        kind, bytes(path), path_text, stage, reason or "no reason was recorded", image, version,
        attempts,
    )  # fmt: skip


def _stage(kind: ProblemKind) -> ColumnElement[Any]:
    if kind is ProblemKind.FILE:
        return literal(SCAN)
    return tasks.c.stage if kind in _OF_TASKS else problems.c.stage


_Select = tuple[Select[Any], _Keys]
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
        select(c.stage, c.image_id, c.version, c.image_id.label("image"), c.version.label("said"),
               c.attempts, files.c.path, files.c.path_text, c.stage.label("said_by"), c.reason)
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
    """Make failed and unavailable tasks of a job pending again; how many. Raises NotFound.

    `versions` are the stages that can work now; all of their tasks, or those of one `stage`, or of
    some images.
    """
    parts = _parts(versions, stage, image_ids)
    return _retry(lambda: nullcontext(connection), job_id, parts)


def retry_in_steps(
    catalog: Catalog,
    job_id: str,
    versions: Mapping[str, str],
    *,
    stage: str | None = None,
    image_ids: Sequence[int] | None = None,
) -> int:
    """The same in transactions of `STEP` images, so that others get turns."""
    return _retry(catalog.begin, job_id, _parts(versions, stage, image_ids))


def _parts(
    versions: Mapping[str, str], stage: str | None, image_ids: Sequence[int] | None
) -> Iterator[ColumnElement[bool]]:
    """Conditions on the tasks to try again, within each of which the index goes by image."""
    c = tasks.c
    wanted = [(s, v) for s, v in versions.items() if stage in {None, s}]
    if image_ids is None:
        for name, version in wanted:
            for state in _AGAIN:
                yield and_(c.state == state, c.stage == name, c.version == version)
        return
    numbers = sorted(set(image_ids)) if wanted else []
    for start in range(0, len(numbers), STEP):
        some = c.image_id.in_(numbers[start : start + STEP])
        yield and_(c.state.in_(_AGAIN), tuple_(c.stage, c.version).in_(wanted), some)


def _retry(
    begin: Callable[[], AbstractContextManager[Connection]],
    job_id: str,
    parts: Iterator[ColumnElement[bool]],
) -> int:
    count = 0
    for part in parts:
        after: int | None = 0
        while after is not None:
            with begin() as connection:
                some, after = _retry_some(connection, job_id, part, after)
            count += some
    return count


def _retry_some(
    connection: Connection, job_id: str, part: ColumnElement[bool], after: int
) -> tuple[int, int | None]:
    """How many tasks wait again; and the image behind which there may be more, None for the end."""
    triggers.lock(connection)
    c = tasks.c
    here = select(tiles.c.id).where(tiles.c.id == _tile(gallery_of(connection, job_id), c.image_id))
    wanted = and_(_UNFINISHED, part)
    due = select(c.image_id).where(wanted, c.image_id > after, here.exists()).distinct()
    ids = list(connection.scalars(due.order_by(c.image_id).limit(STEP)))
    wanted = and_(wanted, c.image_id.in_(ids))
    # Of those states only a failed task is a problem that tiles show.
    failed = select(c.image_id).where(wanted, c.state == TaskState.FAILED)
    shown = set(connection.scalars(failed))
    done = connection.execute(
        update(tasks).where(wanted).values(state=TaskState.PENDING, reason=None)
    )
    refresh(connection, shown)
    return done.rowcount, ids[-1] if len(ids) == STEP else None
