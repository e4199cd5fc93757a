"""A file with everything that is known of it, as one plain value: the export line.

Others rely on these keys; docs/export.md describes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Select, select

from caseframe.catalog.results import payloads, unpack_descriptor
from caseframe.catalog.tables import (
    faces,
    files,
    images,
    moment_of,
    places,
    problems,
    results,
    tasks,
)
from caseframe.domain.evidence import PROBLEM_STATES, SCAN, path_base64
from caseframe.domain.work import TaskState

Record = dict[str, Any]
_PAGE = 200
_SHOWN = ("exif", "place", "faces", "similar")
"""Stages whose results have keys of their own."""


def records(connection: Connection, job: str) -> Iterator[Record]:
    """Every file of a job in the order it was found; one page in memory at a time."""
    last = 0
    while True:
        query = _query().where(files.c.job_id == job, files.c.id > last)
        rows = connection.execute(query.order_by(files.c.id).limit(_PAGE)).mappings().all()
        if not rows:
            return
        yield from _page(connection, rows)
        last = rows[-1]["file_id"]


def records_of(connection: Connection, file_ids: Sequence[int]) -> list[Record]:
    """The records of these files, by id."""
    query = _query().where(files.c.id.in_(file_ids)).order_by(files.c.id)
    return _page(connection, connection.execute(query).mappings().all())


def _query() -> Select[Any]:
    c = images.c
    return select(
        files.c.id.label("file_id"), files.c.image_id, files.c.path, files.c.path_text,
        files.c.state, files.c.reason, files.c.size, files.c.modified_ns, files.c.sha256,
        files.c.sha1, files.c.md5, files.c.mime, files.c.missing,
        c.format, c.width, c.height, c.orientation, c.colorspace, c.bit_depth, c.resolution_dpi,
        c.pdq, c.pdq_quality, c.captured_at, c.camera_make, c.camera_model, c.lens,
    ).outerjoin(images, images.c.id == files.c.image_id)  # fmt: skip


def _page(connection: Connection, rows: Sequence[Any]) -> list[Record]:
    image_ids = [row["image_id"] for row in rows if row["image_id"] is not None]
    parts = _Parts(connection, image_ids, [row["file_id"] for row in rows])
    return [_record(row, parts) for row in rows]


class _Parts:
    """What a page of files needs from the other tables, by image or file."""

    def __init__(self, connection: Connection, images_: list[int], files_: list[int]) -> None:
        self.metadata: dict[int, Any] = {}
        self.answers: dict[int, Record] = {}
        self.faces: dict[int, list[Record]] = {}
        self.places: dict[int, Record] = {}
        self.tasks: dict[int, dict[str, tuple[str, str | None]]] = {}
        self.problems: dict[tuple[str, int], list[Record]] = {}
        if images_:
            self._read_results(connection, images_)
            self._read_answers(connection, images_)
            self._read_tasks(connection, images_)
        self._read_problems(connection, images_, files_)

    def _read_results(self, connection: Connection, numbers: list[int]) -> None:
        for number, said in payloads(connection, numbers, ("exif",)).items():
            self.metadata[number] = json.loads(said["exif"] or "{}").get("metadata", {})
        query = select(faces).where(faces.c.image_id.in_(numbers)).order_by(faces.c.id)
        for row in connection.execute(query).mappings():
            self.faces.setdefault(row["image_id"], []).append(_face(row))
        for row in connection.execute(
            select(places).where(places.c.image_id.in_(numbers))
        ).mappings():
            self.places[row["image_id"]] = dict(row)

    def _read_answers(self, connection: Connection, numbers: list[int]) -> None:
        """What stages found that no other key holds, of each the version that came last."""
        t, r = tasks.c, results.c
        query = (
            select(t.image_id, t.stage, r.payload)
            .outerjoin(
                results,
                (r.image_id == t.image_id) & (r.stage == t.stage) & (r.version == t.version),
            )
            .where(t.image_id.in_(numbers), t.state == TaskState.DONE, t.stage.not_in(_SHOWN))
            .order_by(t.stage, t.finished_at, t.version)
        )
        for number, stage, payload in connection.execute(query):
            found = self.answers.setdefault(number, {})
            if payload is None:  # a later version found nothing
                found.pop(stage, None)
            else:
                found[stage] = _answer(json.loads(payload))

    def _read_tasks(self, connection: Connection, numbers: list[int]) -> None:
        """Of each stage the version that finished last, or a later one that is still due."""
        c = tasks.c
        query = select(c.image_id, c.stage, c.version, c.finished_at, c.state, c.reason)
        query = query.where(c.image_id.in_(numbers))
        newest: dict[tuple[int, str], str] = {}
        for number, stage, version, finished, *said in connection.execute(
            query.order_by(c.finished_at.is_(None), c.finished_at, c.version)
        ):
            before = newest.get((number, stage), "")
            if finished is not None or _numbers(version) > _numbers(before):
                newest[number, stage] = version
                self.tasks.setdefault(number, {})[stage] = (said[0], said[1])

    def _read_problems(self, connection: Connection, images_: list[int], files_: list[int]) -> None:
        c = problems.c
        query = select(c.image_id, c.file_id, c.stage, c.reason).order_by(c.id)
        for condition in (c.image_id.in_(images_), c.file_id.in_(files_)):
            for image, file, stage, reason in connection.execute(query.where(condition)):
                key = ("image", image) if image is not None else ("file", file)
                self.problems.setdefault(key, []).append({"stage": stage, "reason": reason})


def _numbers(version: str) -> list[tuple[int, str]]:
    """A version to compare: its numbers as numbers, so that 10 comes after 9."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", version)
    return [(int(number or -1), word) for number, word in parts]


def _answer(payload: Any) -> Any:
    """A result as it is; that of another maker's stage is kept under `value` and nothing else."""
    return payload["value"] if isinstance(payload, dict) and set(payload) == {"value"} else payload


def _face(row: Any) -> Record:
    return {
        "x": row["x"],
        "y": row["y"],
        "width": row["width"],
        "height": row["height"],
        "score": row["score"],
        "descriptor": unpack_descriptor(row["descriptor"]),
    }


def _hex(value: bytes | None) -> str | None:
    return None if value is None else bytes(value).hex()


def _modified(nanoseconds: int) -> str:
    moment = moment_of(nanoseconds // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _record(row: Any, parts: _Parts) -> Record:
    number = row["image_id"]
    path = bytes(row["path"])
    record: Record = {"path": row["path_text"]}
    if (exact := path_base64(path)) is not None:
        record["path_bytes"] = exact
    record |= {name: row[name] for name in ("state", "reason", "size")}
    record["modified"] = _modified(row["modified_ns"])
    record |= {name: _hex(row[name]) for name in ("sha256", "sha1", "md5")}
    record |= {name: row[name] for name in _PICTURE_KEYS}
    record["pdq"] = _hex(row["pdq"])
    record["captured_at"] = row["captured_at"]
    record["camera"] = _camera(row)
    record["place"] = _place(parts.places.get(number))
    record["metadata"] = parts.metadata.get(number, {})
    record["faces"] = parts.faces.get(number, [])
    done = parts.tasks.get(number, {})
    record["stages"] = {stage: state for stage, (state, _) in done.items()}
    record["results"] = parts.answers.get(number, {})
    record["problems"] = _problems(row, parts, done)
    if row["missing"]:
        record["missing"] = True
    return record


_PICTURE_KEYS = (
    "mime", "format", "width", "height", "orientation", "colorspace", "bit_depth",
    "resolution_dpi",
)  # fmt: skip


_PLACE_KEYS = (
    "latitude", "longitude", "altitude_m", "direction", "town", "region", "country", "distance_km",
)  # fmt: skip


def _camera(row: Any) -> Record | None:
    camera = {"make": row["camera_make"], "model": row["camera_model"], "lens": row["lens"]}
    return camera if any(camera.values()) else None


def _place(row: Record | None) -> Record | None:
    if row is None:
        return None
    return {name: row[name] for name in _PLACE_KEYS}


def _problems(row: Any, parts: _Parts, done: dict[str, tuple[str, str | None]]) -> list[Record]:
    found: list[Record] = []
    if row["state"] in PROBLEM_STATES:
        found.append({"stage": SCAN, "reason": row["reason"]})
    found += parts.problems.get(("file", row["file_id"]), [])
    found += parts.problems.get(("image", row["image_id"]), [])
    found += [
        {"stage": stage, "reason": reason}
        for stage, (state, reason) in done.items()
        if state == TaskState.FAILED
    ]
    return found
