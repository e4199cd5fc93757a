"""Writing what came of orders: one transaction a batch, and the same rows however often it is done.

Everything here is keyed by what it is about (path in a job, content, stage and version), so an
outcome that arrives twice, or again after a crash, changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, select, update

from caseframe.catalog import triggers
from caseframe.catalog.inserting import insert_rows, upsert
from caseframe.catalog.results import Row, fact_columns, record_stages
from caseframe.catalog.tables import (
    files,
    images,
    now,
    problems,
    stands_at,
    tasks,
    thumbnails,
)
from caseframe.catalog.tiling import refresh
from caseframe.domain.evidence import (
    MOST_PIXELS_A_SIDE,
    PICTURE_STATES,
    SCAN,
    Digests,
    FileState,
    PictureInfo,
    content_changed,
    path_text,
)
from caseframe.domain.text import storable
from caseframe.domain.work import Outcome, TaskState

_IMAGE_KEYS = (
    "state", "reason", "mime", "format", "width", "height", "orientation", "colorspace",
    "bit_depth", "resolution_dpi",
)  # fmt: skip
_FACT_KEYS = (
    "pdq", "pdq_quality", "captured_at", "camera_make", "camera_model", "lens", "face_count",
)  # fmt: skip
_DELETED = (FileState.UNREADABLE, "its content was deleted with another job; scan again")
_FILE_KEYS = (
    "size", "modified_ns", "state", "reason", "mime", "sha256", "sha1", "md5", "image_id",
    "missing", "examined_at",
)  # fmt: skip


def record(connection: Connection, job: str, outcomes: Sequence[Outcome]) -> None:
    """Write a batch of outcomes of one job; the caller owns the transaction."""
    triggers.lock(connection)
    outcomes = _still_there(connection, outcomes)
    ingested = [o for o in outcomes if o.order.ingest and o.examined is not None]
    before = _shown_at(connection, job, [o.order.path for o in ingested])
    ids, old = _images(connection, ingested)
    old |= {o.order.image_id for o in outcomes if o.order.image_id is not None}
    _files(connection, job, ingested, ids)
    pairs = [(_image_id(o, ids), o) for o in outcomes]
    record_stages(connection, [(i, s) for i, o in pairs if i is not None for s in o.stages], old)
    refresh(connection, before.union(i for i, _ in pairs if i is not None))


def _still_there(connection: Connection, outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """Those whose image was not deleted with a job while a stage looked at it."""
    numbers = {o.order.image_id for o in outcomes} - {None}
    if not numbers:
        return outcomes
    there = set(connection.scalars(select(images.c.id).where(images.c.id.in_(numbers))))
    gone = numbers - there
    return [o for o in outcomes if o.order.image_id not in gone] if gone else outcomes


def _shown_at(connection: Connection, job: str, paths: list[bytes]) -> set[int]:
    """The images that stood at these paths so far; what stands there now may be another."""
    query = select(files.c.image_id).where(
        files.c.job_id == job, stands_at(connection, paths), files.c.image_id.is_not(None)
    )
    return set(connection.scalars(query)) if paths else set()


def _image_id(outcome: Outcome, ids: Mapping[bytes, int]) -> int | None:
    if outcome.order.image_id is not None:
        return outcome.order.image_id
    digests = outcome.examined.digests if outcome.examined else None
    return ids.get(digests.sha256) if digests else None


# ---- content --------------------------------------------------------------------------------


def _images(connection: Connection, outcomes: list[Outcome]) -> tuple[dict[bytes, int], set[int]]:
    """(image id by SHA-256, ids that were there before)."""
    fresh: dict[bytes, Outcome] = {}
    wanted: set[bytes] = set()
    for outcome in outcomes:
        examined = outcome.examined
        if examined is None or examined.digests is None or examined.state not in PICTURE_STATES:
            continue
        sha256 = examined.digests.sha256
        wanted.add(sha256)
        if not outcome.already_known or sha256 in outcome.order.anew:
            fresh[sha256] = outcome
    before = _ids(connection, wanted)
    rows = [_image_row(o) for o in fresh.values()]
    _judge_anew(connection, [row for row in rows if row["sha256"] in before])
    upsert(connection, images, rows, update=_IMAGE_KEYS)
    missing = wanted - before.keys()
    ids = before | (_ids(connection, missing) if missing else {})
    _thumbnails(connection, fresh, ids)
    return ids, set(before.values())


def _ids(connection: Connection, digests: set[bytes]) -> dict[bytes, int]:
    if not digests:
        return {}
    query = select(images.c.sha256, images.c.id).where(images.c.sha256.in_(digests))
    return {bytes(sha256): number for sha256, number in connection.execute(query)}


def _judge_anew(connection: Connection, rows: list[Row]) -> None:
    """Where the verdict on an image is another than before, all that came of the old one goes.

    Every occurrence gets the new one, and stages that failed are due again: they could not see
    what can be seen now.
    """
    verdicts = {row["sha256"]: {key: row[key] for key in ("state", "reason")} for row in rows}
    if not verdicts:
        return
    query = select(images.c.id, images.c.sha256, images.c.state, images.c.reason)
    found = connection.execute(query.where(images.c.sha256.in_(verdicts))).all()
    for number, sha256, state, reason in found:
        now_said = verdicts[bytes(sha256)]
        if now_said == {"state": state, "reason": reason}:
            continue
        connection.execute(update(files).where(files.c.image_id == number).values(**now_said))
        connection.execute(
            update(tasks)
            .where(tasks.c.image_id == number, tasks.c.state == TaskState.FAILED)
            .values(state=TaskState.PENDING, reason=None)
        )


def _image_row(outcome: Outcome) -> Row:
    examined = outcome.examined
    assert examined is not None  # noqa: S101 - chosen by _images
    assert examined.digests is not None  # noqa: S101
    info = examined.picture
    sides = _sides(info)
    row: Row = {
        **_digest_columns(examined.digests),
        "size": examined.size,
        "state": examined.state,
        "reason": examined.reason,
        "mime": examined.mime,
        "format": info.format if info else None,
        "width": sides[0],
        "height": sides[1],
        "orientation": info.orientation if info else None,
        "colorspace": info.colorspace if info else None,
        "bit_depth": info.bit_depth if info else None,
        "resolution_dpi": info.resolution_dpi if info else None,
        "added_at": now(),
    }
    row.update(dict.fromkeys(_FACT_KEYS))
    for stage in outcome.stages:
        row.update(fact_columns(stage.facts))
    return row


def _sides(info: PictureInfo | None) -> tuple[int, int] | tuple[None, None]:
    """(width, height), neither where one is longer than a column holds; the reason says both."""
    if info is None or max(info.width, info.height) > MOST_PIXELS_A_SIDE:
        return None, None
    return info.width, info.height


def _digest_columns(digests: Digests | None) -> Row:
    if digests is None:
        return {"sha256": None, "sha1": None, "md5": None}
    return {"sha256": digests.sha256, "sha1": digests.sha1, "md5": digests.md5}


def _thumbnails(
    connection: Connection, outcomes: Mapping[bytes, Outcome], ids: Mapping[bytes, int]
) -> None:
    rows: list[Row] = []
    for sha256, outcome in outcomes.items():
        small = outcome.examined.thumbnail if outcome.examined else None
        if small is not None:
            rows.append(
                {
                    "image_id": ids[sha256],
                    "mime": small.mime,
                    "width": small.width,
                    "height": small.height,
                    "data": small.data,
                }
            )
    upsert(connection, thumbnails, rows, update=("mime", "width", "height", "data"))


# ---- occurrences ----------------------------------------------------------------------------


def _files(
    connection: Connection,
    job: str,
    outcomes: list[Outcome],
    ids: Mapping[bytes, int],
) -> None:
    if not outcomes:
        return
    known = _states(connection, [o for o in outcomes if o.already_known])
    rows = [_file_row(job, o, ids, known) for o in outcomes]
    lost = [row["path"] for row in rows if row["state"] == FileState.UNREADABLE]
    earlier = _earlier(connection, job, lost)
    rows = [_keeping(row, earlier.get(row["path"])) for row in rows]
    upsert(connection, files, rows, update=_FILE_KEYS)
    noted = {o.order.path: o.examined.notes for o in outcomes if o.examined and o.examined.notes}
    if noted or any(o.order.file_id is not None for o in outcomes):
        _notes(connection, job, [row["path"] for row in rows], noted)


def _states(connection: Connection, outcomes: list[Outcome]) -> dict[bytes, tuple[str, str | None]]:
    digests = {o.examined.digests.sha256 for o in outcomes if o.examined and o.examined.digests}
    if not digests:
        return {}
    query = select(images.c.sha256, images.c.state, images.c.reason)
    found = connection.execute(query.where(images.c.sha256.in_(digests)))
    return {bytes(sha256): (state, reason) for sha256, state, reason in found}


def _file_row(
    job: str,
    outcome: Outcome,
    ids: Mapping[bytes, int],
    known: Mapping[bytes, tuple[str, str | None]],
) -> Row:
    examined = outcome.examined
    assert examined is not None  # noqa: S101 - chosen by record
    sha256 = examined.digests.sha256 if examined.digests else None
    # Another job may have taken with it what was known; what is unreadable is tried again.
    otherwise = _DELETED if outcome.already_known else (examined.state, examined.reason)
    state, reason = known.get(sha256 or b"", otherwise)
    return {
        "job_id": job,
        "path": outcome.order.path,
        "path_text": path_text(outcome.order.path),
        "size": examined.size,
        "modified_ns": examined.modified_ns,
        "state": state,
        "reason": reason,
        "mime": examined.mime,
        **_digest_columns(examined.digests),
        "image_id": ids.get(sha256) if sha256 else None,
        "missing": False,
        "examined_at": now(),
    }


def _earlier(connection: Connection, job: str, paths: Sequence[bytes]) -> dict[bytes, Row]:
    """The digests that the catalog holds of these paths, as columns by path."""
    if not paths:
        return {}
    c = files.c
    query = select(c.path, c.sha256, c.sha1, c.md5).where(
        c.job_id == job, stands_at(connection, paths), c.sha256.is_not(None)
    )
    return {
        bytes(path): _digest_columns(Digests(bytes(sha256), bytes(sha1), bytes(md5)))
        for path, sha256, sha1, md5 in connection.execute(query)
    }


def _keeping(row: Row, earlier: Row | None) -> Row:
    """The row of a name that cannot be read now keeps its digests of when it could.

    Else nobody would see that another content stands there when it can be read again.
    """
    if row["state"] != FileState.UNREADABLE or row["sha256"] is not None or earlier is None:
        return row
    return {**row, **earlier, "reason": f"{row['reason']}; its digests are of an earlier scan"}


def _notes(
    connection: Connection,
    job: str,
    paths: Sequence[bytes],
    noted: Mapping[bytes, Sequence[str]],
) -> None:
    """Put these notes in the place of those that the files at `paths` had."""
    query = select(files.c.path, files.c.id).where(
        files.c.job_id == job, stands_at(connection, paths)
    )
    ids = {bytes(path): number for path, number in connection.execute(query)}
    connection.execute(
        delete(problems).where(problems.c.file_id.in_(ids.values()), problems.c.stage == SCAN)
    )
    rows = [
        {"file_id": ids[path], "stage": SCAN, "reason": storable(note)}
        for path, notes in noted.items()
        for note in notes
    ]
    insert_rows(connection, problems, rows)


def record_skipped(connection: Connection, job: str, rows: Sequence[Row]) -> None:
    """Write files that are never opened: links, special files, folders that cannot be read.

    Each row has path, size, modified_ns, state, reason and mime.
    """
    complete = [
        {
            "job_id": job,
            "path_text": path_text(row["path"]),
            "sha256": None,
            "sha1": None,
            "md5": None,
            "image_id": None,
            "missing": False,
            "examined_at": now(),
            **row,
        }
        for row in rows
    ]
    triggers.lock(connection)
    paths = [row["path"] for row in rows]
    before = _shown_at(connection, job, paths)
    earlier = _earlier(connection, job, paths)
    kept = [_keeping(row, earlier.get(row["path"])) for row in complete]
    upsert(connection, files, kept, update=_FILE_KEYS)
    changed = {
        row["path"]: [content_changed(earlier[row["path"]]["sha256"])]
        for row in kept
        if row["sha256"] is None and row["path"] in earlier
    }
    if earlier:
        _notes(connection, job, list(earlier), changed)
    refresh(connection, before)
