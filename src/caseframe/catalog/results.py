"""What stages said of images: task, result, facts; what an earlier run said is replaced."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, or_, select, update

from caseframe.catalog.inserting import insert_rows, upsert
from caseframe.catalog.tables import faces, images, now, places, problems, results, tasks, texts
from caseframe.domain.facts import Face, Facts
from caseframe.domain.text import storable
from caseframe.domain.work import StageOutcome, TaskState

Row = dict[str, Any]
_Pair = tuple[int, StageOutcome]


def record_stages(connection: Connection, pairs: list[_Pair], old: set[int]) -> None:
    """Write what stages said of images; `old` are the images that were there before."""
    if not pairs:
        return
    pairs = list({(i, s.stage): (i, s) for i, s in pairs}.values())
    _plan(connection, [pair for pair in pairs if pair[1].state is TaskState.PENDING])
    pairs = [pair for pair in pairs if pair[1].state is not TaskState.PENDING]
    if not pairs:
        return
    existing = _existing(connection, pairs)
    # A stage that could not work has looked at nothing: what it said before still holds.
    looked = [pair for pair in pairs if pair[1].state is not TaskState.UNAVAILABLE]
    _forget(connection, [pair for pair in looked if _key(pair) in existing])
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
    _update_images(connection, [pair for pair in looked if pair[0] in old])


def _plan(connection: Connection, pairs: list[_Pair]) -> None:
    """Give images the tasks that they do not have yet."""
    rows = [
        {"image_id": i, "stage": s.stage, "version": s.version, "state": s.state} for i, s in pairs
    ]
    upsert(connection, tasks, rows, update=None)


def _key(pair: _Pair) -> tuple[int, str]:
    return pair[0], pair[1].stage


def _existing(connection: Connection, pairs: list[_Pair]) -> set[tuple[int, str]]:
    """Which of these (image, stage) were done before, by any version."""
    numbers = {image for image, _ in pairs}
    query = select(tasks.c.image_id, tasks.c.stage).where(tasks.c.image_id.in_(numbers))
    return {(image, stage) for image, stage in connection.execute(query)}


def _forget(connection: Connection, pairs: list[_Pair]) -> None:
    """Remove what an earlier run of the same stages, of any version, said of these images.

    What other versions found stays among the tasks, what they could not do does not.
    """
    by_stage = sorted(pairs, key=_stage_of)
    for stage, group in groupby(by_stage, key=lambda pair: pair[1].stage):
        numbers = [image for image, _ in group]
        for table in (faces, places, texts, problems, results):
            connection.execute(
                delete(table).where(table.c.image_id.in_(numbers), table.c.stage == stage)
            )
    for (stage, version), group in groupby(by_stage, key=_stage_of):
        _retire(connection, stage, version, [image for image, _ in group])


def _stage_of(pair: _Pair) -> tuple[str, str]:
    return pair[1].stage, pair[1].version


def _retire(connection: Connection, stage: str, version: str, numbers: list[int]) -> None:
    """Remove what other versions of the stage could not do: nobody tries that again."""
    t = tasks.c
    ended = t.state.in_((TaskState.FAILED, TaskState.UNAVAILABLE))
    connection.execute(
        delete(tasks).where(t.image_id.in_(numbers), t.stage == stage, t.version != version, ended)
    )


def payloads(
    connection: Connection, numbers: Sequence[int], stages: Collection[str]
) -> dict[int, dict[str, str | None]]:
    """What stages said of images, by image and stage: JSON, or None where nothing was found.

    Of several versions it is what the one said that finished last.
    """
    found: dict[int, dict[str, str | None]] = {}
    if not stages:
        return found
    t, r = tasks.c, results.c
    same = and_(r.image_id == t.image_id, r.stage == t.stage, r.version == t.version)
    none = and_(t.state == TaskState.DONE, t.found.is_(False))
    query = (
        select(t.image_id, t.stage, r.payload)
        .outerjoin(results, same)
        .where(t.image_id.in_(numbers), t.stage.in_(stages), or_(r.payload.is_not(None), none))
        .order_by(t.finished_at, t.version)
    )
    for number, stage, payload in connection.execute(query):
        found.setdefault(number, {})[stage] = payload
    return found


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
        insert_rows(connection, table, rows)
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
        row = dict.fromkeys(_STAGE_COLUMNS.get(outcome.stage, ())) | fact_columns(outcome.facts)
        if row:
            connection.execute(
                update(images).where(images.c.id == bindparam("image")).values(**row),
                {"image": image},
            )


def fact_columns(facts: Facts | None) -> Row:
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
