"""A catalog of as many pictures as one likes, made up and put in in bulk.

The folders are trips: pictures of one trip share the place, the month and mostly the camera, as
they do in life, so that what fits a filter lies in clusters of every order.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Table, insert, text

from caseframe.catalog import jobs, tiling
from caseframe.catalog.database import Catalog
from caseframe.catalog.tables import files, images, places, problems, tasks, texts, thumbnails

STAGES = ("exif", "place", "similar", "faces", "facts")
_CAMERAS = (
    ("NIKON CORPORATION", "NIKON D750"), ("Canon", "Canon EOS 5D"), ("Apple", "iPhone 12"),
    ("SONY", "ILCE-7M3"), ("samsung", "SM-G991B"), ("FUJIFILM", "X-T4"), (None, None),
)  # fmt: skip
_TOWNS = (
    ("Chamonix", "France", "FR", 45.9, 6.9), ("Lisbon", "Portugal", "PT", 38.7, -9.1),
    ("Kyoto", "Japan", "JP", 35.0, 135.8), ("Suva", "Fiji", "FJ", -18.1, 178.4),
    ("Oslo", "Norway", "NO", 59.9, 10.7), ("Quito", "Ecuador", "EC", -0.2, -78.5),
)  # fmt: skip
_NOUNS = ("boat", "street", "mountain", "dog", "table", "market", "train", "beach", "house", "tree")
_COLOURS = ("red", "blue", "green", "white", "black")
_TRIP = 250
_CHUNK = 10_000
_NOW = datetime(2024, 1, 1, tzinfo=UTC)
_Row = dict[str, Any]


def fill(catalog: Catalog, count: int) -> str:
    """Put a job of `count` pictures in, 1 in 50 of them twice; the job's id."""
    with catalog.begin() as connection:
        job = jobs.create_job(connection, f"{count:,} pictures", b"/source", STAGES).id
        _triggers(connection, on=False)
        for start in range(1, count + 1, _CHUNK):
            _chunk(connection, job, range(start, min(start + _CHUNK, count + 1)))
        _numbered(connection)
        _triggers(connection, on=True)
        connection.execute(text("ANALYZE"))
    with catalog.begin() as connection:
        tiling.rebuild(connection)
    with catalog.read() as connection:  # as PostgreSQL does by itself a minute later
        alone = connection.execution_options(isolation_level="AUTOCOMMIT")
        alone.execute(text("VACUUM ANALYZE" if catalog.dialect == "postgresql" else "ANALYZE"))
    return job


def _triggers(connection: Connection, *, on: bool) -> None:
    """Rows that come by the million are counted once at the end."""
    if connection.dialect.name == "postgresql":
        for table in ("files", "tasks", "problems"):
            word = "ENABLE" if on else "DISABLE"
            connection.execute(text(f"ALTER TABLE {table} {word} TRIGGER USER"))
        return
    if on:
        for _, statement in connection.info.pop("triggers"):
            connection.exec_driver_sql(statement)
        return
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%tally%'"
    found = [tuple(row) for row in connection.exec_driver_sql(query)]
    connection.info["triggers"] = found
    for name, _ in found:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")


def _numbered(connection: Connection) -> None:
    """PostgreSQL goes on numbering behind the rows that were put in with their numbers."""
    if connection.dialect.name == "postgresql":
        for table in ("images", "files"):
            connection.execute(
                text(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")
            )


def _chunk(connection: Connection, job: str, numbers: range) -> None:
    rows: dict[Table, list[_Row]] = {t: [] for t in (images, files, tasks, texts, places, problems)}
    for number in numbers:
        _picture(rows, job, number)
    if numbers[0] == 1:
        small = {"image_id": 1, "mime": "image/jpeg", "width": 1, "height": 1, "data": b"small"}
        rows[thumbnails] = [small]
    for table, found in rows.items():
        if found:
            _put(connection, table, found)


def _put(connection: Connection, table: Table, rows: list[_Row]) -> None:
    if connection.dialect.name != "postgresql":
        connection.execute(insert(table), rows)
        return
    names = list(rows[0])
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([_plain(row[name]) for name in names])


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return int((value - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)
    return value


def _picture(rows: dict[Table, list[_Row]], job: str, number: int) -> None:
    trip, inside = divmod(number, _TRIP)
    of_trip, of_one = random.Random(trip), random.Random(-number)
    make, model = of_trip.choice(_CAMERAS) if of_one.random() < 0.9 else of_one.choice(_CAMERAS)
    town = of_trip.choice(_TOWNS)
    began = datetime(2005, 1, 1, tzinfo=UTC) + timedelta(days=of_trip.randrange(7000))
    taken = None if of_one.random() < 0.1 else began + timedelta(minutes=7 * inside)
    state = "corrupt" if of_one.random() < 0.002 else "picture"
    digest = hashlib.sha256(b"%d" % number).digest()
    size = int(of_one.lognormvariate(14, 1))
    width, height = of_one.choice(((640, 480), (4000, 3000), (6016, 4016)))
    rows[images].append({
        "id": number, "sha256": digest, "sha1": digest[:20], "md5": digest[:16], "size": size,
        "state": state, "reason": None if state == "picture" else "cut short",
        "mime": "image/jpeg" if number % 9 else "image/png",
        "format": "JPEG" if number % 9 else "PNG", "width": width, "height": height,
        "captured_at": taken and taken.isoformat()[:19], "camera_make": make,
        "camera_model": model, "lens": None,
        "face_count": of_one.choice((0, 0, 0, 0, 1, 1, 2, 5)), "added_at": _NOW,
    })  # fmt: skip
    _files(rows, job, number, trip, inside, digest, size, state)
    _said(rows, number, of_one, town, model)


def _files(
    rows: dict[Table, list[_Row]], job: str, number: int, trip: int, inside: int, digest: bytes,
    size: int, state: str,
) -> None:  # fmt: skip
    folder = f"archive/{trip % 97:02}/trip-{trip:05}"
    for copy in range(2 if number % 50 == 0 else 1):
        path = f"{folder}/IMG_{inside:04}{'_copy' * copy}_{number}.jpg"
        rows[files].append({
            "id": number * 2 + copy, "job_id": job, "path": path.encode(), "path_text": path,
            "size": size, "modified_ns": 0, "state": state, "reason": None, "mime": "image/jpeg",
            "sha256": digest, "image_id": number, "missing": False, "examined_at": _NOW,
        })  # fmt: skip


def _said(
    rows: dict[Table, list[_Row]], number: int, of_one: random.Random, town: Any, model: str | None
) -> None:
    """What the stages said: every second caption holds `picture`, one in 1,000 `zeppelin`, …"""
    for stage in STAGES:
        failed = stage == "faces" and number % 400 == 0
        rows[tasks].append({
            "image_id": number, "stage": stage, "version": "1",
            "state": "failed" if failed else "done", "found": None if failed else True,
            "attempts": 1,
        })  # fmt: skip
    words = [of_one.choice(_COLOURS), of_one.choice(_NOUNS), "beside a", of_one.choice(_NOUNS)]
    words += [w for w, one_in in (("picture", 2), ("harbour", 100), ("zeppelin", 1000))
              if of_one.randrange(one_in) == 0]  # fmt: skip
    if number % 5000 == 77:
        words.append("walrus")
    said = [("facts", "facts", " ".join(words))]
    said += [("exif", "camera", model)] if model else []
    rows[texts] += [
        {"image_id": number, "stage": stage, "field": field, "value": value}
        for stage, field, value in said
    ]
    if of_one.random() < 0.4:
        name, country, code, latitude, longitude = town
        rows[places].append(
            {
                "image_id": number,
                "stage": "place",
                "latitude": latitude + of_one.gauss(0, 0.2),
                "longitude": longitude + of_one.gauss(0, 0.2),
                "town": name,
                "country": country,
                "country_code": code,
            }
        )
    if number % 300 == 0:
        rows[problems].append({"image_id": number, "stage": "exif", "reason": "a date is odd"})
