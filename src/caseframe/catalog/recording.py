"""Writing what came of orders: one transaction a batch, and the same rows however often it is done.

Everything here is keyed by what it is about (path in a job, content, stage and version), so an
outcome that arrives twice, or again after a crash, changes nothing.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from caseframe.catalog.database import upsert
from caseframe.catalog.tables import (
    faces,
    files,
    images,
    now,
    places,
    problems,
    results,
    tasks,
    texts,
    thumbnails,
)
from caseframe.domain.evidence import PICTURE_STATES, SCAN, Digests, FileState, path_text
from caseframe.domain.facts import Face, Facts
from caseframe.domain.text import storable
from caseframe.domain.work import Outcome, StageOutcome, TaskState

Row = dict[str, Any]
_IMAGE_KEYS = (
    "state", "reason", "mime", "format", "width", "height", "orientation", "colorspace",
    "bit_depth", "resolution_dpi",
)  # fmt: skip
_FACT_KEYS = (
    "pdq", "pdq_quality", "captured_at", "camera_make", "camera_model", "lens", "face_count",
)  # fmt: skip
_FILE_KEYS = (
    "size", "modified_ns", "state", "reason", "mime", "sha256", "sha1", "md5", "image_id", "walk",
    "missing", "examined_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recorded:
    """How a file ended, for progress: its path and state."""

    path: bytes
    state: FileState


def record(
    connection: Connection, job: str, walk: int, outcomes: Sequence[Outcome]
) -> list[Recorded]:
    """Write a batch of outcomes of one job; the caller owns the transaction."""
    ingested = [o for o in outcomes if o.order.ingest and o.examined is not None]
    ids, old = _images(connection, ingested)
    old |= {o.order.image_id for o in outcomes if o.order.image_id is not None}
    recorded = _files(connection, job, walk, ingested, ids)
    pairs = [(_image_id(o, ids), o) for o in outcomes]
    _stages(connection, [(i, s) for i, o in pairs if i is not None for s in o.stages], old)
    return recorded


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
        wanted.add(examined.digests.sha256)
        if not outcome.already_known:
            fresh[examined.digests.sha256] = outcome
    before = _ids(connection, wanted)
    rows = [_image_row(o) for o in fresh.values()]
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


def _image_row(outcome: Outcome) -> Row:
    examined = outcome.examined
    assert examined is not None  # noqa: S101 - chosen by _images
    assert examined.digests is not None  # noqa: S101
    info = examined.picture
    row: Row = {
        **_digest_columns(examined.digests),
        "size": examined.size,
        "state": examined.state,
        "reason": examined.reason,
        "mime": examined.mime,
        "format": info.format if info else None,
        "width": info.width if info else None,
        "height": info.height if info else None,
        "orientation": info.orientation if info else None,
        "colorspace": info.colorspace if info else None,
        "bit_depth": info.bit_depth if info else None,
        "resolution_dpi": info.resolution_dpi if info else None,
        "added_at": now(),
    }
    row.update(dict.fromkeys(_FACT_KEYS))
    for stage in outcome.stages:
        row.update(_fact_columns(stage.facts))
    return row


def _digest_columns(digests: Digests | None) -> Row:
    if digests is None:
        return {"sha256": None, "sha1": None, "md5": None}
    return {"sha256": digests.sha256, "sha1": digests.sha1, "md5": digests.md5}


def _fact_columns(facts: Facts | None) -> Row:
    """The columns of `images` that a stage's facts fill."""
    row: Row = {}
    if facts is None:
        return row
    if facts.perceptual_hash is not None:
        row["pdq"] = facts.perceptual_hash.bits
        row["pdq_quality"] = facts.perceptual_hash.quality
    if facts.capture is not None:
        row["captured_at"] = facts.capture.at
    if facts.camera is not None:
        row["camera_make"] = _clean(facts.camera.make)
        row["camera_model"] = _clean(facts.camera.model)
        row["lens"] = _clean(facts.camera.lens)
    if facts.faces is not None:
        row["face_count"] = len(facts.faces)
    return row


def _clean(text: str | None) -> str | None:
    return None if text is None else storable(text)


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
    walk: int,
    outcomes: list[Outcome],
    ids: Mapping[bytes, int],
) -> list[Recorded]:
    if not outcomes:
        return []
    known = _states(connection, [o for o in outcomes if o.already_known])
    rows = [_file_row(job, walk, o, ids, known) for o in outcomes]
    upsert(connection, files, rows, update=_FILE_KEYS)
    _notes(connection, job, outcomes)
    return [Recorded(row["path"], FileState(row["state"])) for row in rows]


def _states(connection: Connection, outcomes: list[Outcome]) -> dict[bytes, tuple[str, str | None]]:
    digests = {o.examined.digests.sha256 for o in outcomes if o.examined and o.examined.digests}
    if not digests:
        return {}
    query = select(images.c.sha256, images.c.state, images.c.reason)
    found = connection.execute(query.where(images.c.sha256.in_(digests)))
    return {bytes(sha256): (state, reason) for sha256, state, reason in found}


def _file_row(
    job: str,
    walk: int,
    outcome: Outcome,
    ids: Mapping[bytes, int],
    known: Mapping[bytes, tuple[str, str | None]],
) -> Row:
    examined = outcome.examined
    assert examined is not None  # noqa: S101 - chosen by record
    sha256 = examined.digests.sha256 if examined.digests else None
    state, reason = known.get(sha256 or b"", (examined.state, examined.reason))
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
        "walk": walk,
        "missing": False,
        "examined_at": now(),
    }


def _notes(connection: Connection, job: str, outcomes: list[Outcome]) -> None:
    paths = [o.order.path for o in outcomes]
    query = select(files.c.path, files.c.id).where(files.c.job_id == job, files.c.path.in_(paths))
    noted = {o.order.path: o.examined.notes for o in outcomes if o.examined and o.examined.notes}
    again = any(o.order.file_id is not None for o in outcomes)
    if not noted and not again:
        return
    ids = {bytes(path): number for path, number in connection.execute(query)}
    connection.execute(
        delete(problems).where(problems.c.file_id.in_(ids.values()), problems.c.stage == SCAN)
    )
    rows = [
        {"file_id": ids[path], "stage": SCAN, "reason": storable(note)}
        for path, notes in noted.items()
        for note in notes
    ]
    if rows:
        connection.execute(insert(problems), rows)


def record_skipped(connection: Connection, job: str, walk: int, rows: Sequence[Row]) -> None:
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
            "walk": walk,
            "missing": False,
            "examined_at": now(),
            **row,
        }
        for row in rows
    ]
    upsert(connection, files, complete, update=_FILE_KEYS)


# ---- results of stages ----------------------------------------------------------------------

_Pair = tuple[int, StageOutcome]


def _stages(connection: Connection, pairs: list[_Pair], old: set[int]) -> None:
    if not pairs:
        return
    pairs = list({(i, s.stage): (i, s) for i, s in pairs}.values())
    existing = _existing(connection, pairs)
    _forget(connection, [pair for pair in pairs if _key(pair) in existing])
    upsert(
        connection,
        tasks,
        [_task_row(i, s) for i, s in pairs],
        update=(
            "state", "found", "reason", "attempts", "seconds", "model", "model_digest",
            "finished_at",
        ),
    )  # fmt: skip
    kept = [(i, s) for i, s in pairs if s.payload is not None]
    upsert(connection, results, [_result_row(i, s) for i, s in kept], update=("payload",))
    _facts(connection, pairs)
    _update_images(connection, [pair for pair in pairs if pair[0] in old])


def _key(pair: _Pair) -> tuple[int, str]:
    return pair[0], pair[1].stage


def _existing(connection: Connection, pairs: list[_Pair]) -> set[tuple[int, str]]:
    """Which of these (image, stage) were done before, by any version."""
    numbers = {image for image, _ in pairs}
    query = select(tasks.c.image_id, tasks.c.stage).where(tasks.c.image_id.in_(numbers))
    return {(image, stage) for image, stage in connection.execute(query)}


def _forget(connection: Connection, pairs: list[_Pair]) -> None:
    """Remove what an earlier run of the same stages said of these images."""
    by_stage = sorted(pairs, key=lambda pair: pair[1].stage)
    for stage, group in groupby(by_stage, key=lambda pair: pair[1].stage):
        numbers = [image for image, _ in group]
        for table in (faces, places, texts, problems):
            connection.execute(
                delete(table).where(table.c.image_id.in_(numbers), table.c.stage == stage)
            )
    for image, stage in pairs:
        if stage.payload is None:
            connection.execute(
                delete(results).where(
                    results.c.image_id == image,
                    results.c.stage == stage.stage,
                    results.c.version == stage.version,
                )
            )


def _task_row(image: int, outcome: StageOutcome) -> Row:
    return {
        "image_id": image,
        "stage": outcome.stage,
        "version": outcome.version,
        "state": outcome.state,
        "found": outcome.found if outcome.state is TaskState.DONE else None,
        "reason": outcome.reason,
        "attempts": outcome.attempts,
        "seconds": outcome.seconds,
        "model": outcome.model,
        "model_digest": outcome.model_digest,
        "finished_at": now(),
    }


def _result_row(image: int, outcome: StageOutcome) -> Row:
    return {
        "image_id": image,
        "stage": outcome.stage,
        "version": outcome.version,
        "payload": outcome.payload,
    }


def _facts(connection: Connection, pairs: list[_Pair]) -> None:
    face_rows: list[Row] = []
    place_rows: list[Row] = []
    text_rows: list[Row] = []
    problem_rows: list[Row] = []
    for image, outcome in pairs:
        key = {"image_id": image, "stage": outcome.stage}
        problem_rows += [{**key, "reason": storable(reason)} for reason in outcome.problems]
        facts = outcome.facts
        if facts is None:
            continue
        face_rows += [{**key, **_face_columns(face)} for face in facts.faces or ()]
        text_rows += [{**key, "field": t.field, "value": storable(t.value)} for t in facts.texts]
        if facts.place is not None:
            place = facts.place
            place_rows.append({**key, **{name: getattr(place, name) for name in _PLACE_KEYS}})
    for table, rows in ((faces, face_rows), (texts, text_rows), (problems, problem_rows)):
        if rows:
            connection.execute(insert(table), rows)
    upsert(connection, places, place_rows, update=_PLACE_KEYS)


_PLACE_KEYS = (
    "latitude", "longitude", "altitude_m", "direction", "town", "region", "country",
    "country_code", "distance_km",
)  # fmt: skip


def _face_columns(face: Face) -> Row:
    return {
        "x": face.x,
        "y": face.y,
        "width": face.width,
        "height": face.height,
        "score": face.score,
        "landmarks": json.dumps(face.landmarks),
        "descriptor": pack_descriptor(face.descriptor),
    }


def pack_descriptor(values: Sequence[float]) -> bytes | None:
    """A face descriptor as little-endian 32-bit floats; None for an empty one."""
    return struct.pack(f"<{len(values)}f", *values) if values else None


def unpack_descriptor(data: bytes | None) -> list[float]:
    """The numbers of a stored descriptor, to the 8 decimals that the wire format carries."""
    if not data:
        return []
    return [round(value, 8) for value in struct.unpack(f"<{len(data) // 4}f", data)]


# The columns of `images` that a stage owns: running it again empties those it no longer fills.
_STAGE_COLUMNS = {
    "exif": ("captured_at", "camera_make", "camera_model", "lens"),
    "similar": ("pdq", "pdq_quality"),
    "faces": ("face_count",),
}


def _update_images(connection: Connection, pairs: list[_Pair]) -> None:
    """Bring the image's own columns up to date after a stage was run again."""
    for image, outcome in pairs:
        row = dict.fromkeys(_STAGE_COLUMNS.get(outcome.stage, ())) | _fact_columns(outcome.facts)
        if row:
            connection.execute(
                update(images).where(images.c.id == bindparam("image")).values(**row),
                {"image": image},
            )
