"""What a catalog says of a job's pictures, without what may differ from one run to the next."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, select

from caseframe.catalog.tables import (
    faces,
    files,
    images,
    places,
    problems,
    results,
    tasks,
    texts,
    thumbnails,
)

_DIFFER = {
    "id", "job_id", "image_id", "file_id", "added_at", "examined_at", "finished_at", "seconds",
    "attempts",
}  # fmt: skip
Rows = dict[str, list[tuple[Any, ...]]]
"""By table, its rows in an order of their own; the first column is the content or path."""


def rows(connection: Connection) -> Rows:
    """All that is known of pictures. A row that is there twice comes twice."""
    names = {number: bytes(sha256).hex() for number, sha256 in connection.execute(
        select(images.c.id, images.c.sha256))}  # fmt: skip
    paths = {number: bytes(path) for number, path in connection.execute(
        select(files.c.id, files.c.path))}  # fmt: skip
    whole = (images, files, tasks, results, faces, places, texts, problems, thumbnails)
    return {table.name: _of(connection, table, names, paths) for table in whole}


def _of(
    connection: Connection, table: Table, names: dict[int, str], paths: dict[int, bytes]
) -> list[tuple[Any, ...]]:
    said = [column.name for column in table.columns if column.name not in _DIFFER]
    found = []
    for row in connection.execute(select(table)).mappings():
        image = names[row["image_id"]] if row.get("image_id") is not None else None
        file = paths[row["file_id"]] if row.get("file_id") is not None else None
        found.append((image, file, *(row[name] for name in said)))
    return sorted(found, key=repr)


def differences(one: Rows, other: Rows, most: int = 6) -> list[str]:
    """What the second has that the first has not, and the other way round, in a few lines."""
    found: list[str] = []
    for name, before in one.items():
        after = other[name]
        for sign, here, there in (("-", before, after), ("+", after, before)):
            left = list(there)
            for row in here:
                if row in left:
                    left.remove(row)
                else:
                    found.append(f"{sign} {name} {row!r}"[:300])
    return found[:most] + ([f"and {len(found) - most} more"] if len(found) > most else [])
