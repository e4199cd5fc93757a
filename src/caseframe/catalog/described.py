"""Pages of pictures with what the job manager's interface says of each; a few queries a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from caseframe.catalog.gallery import Tile
from caseframe.catalog.results import payloads, unpack_descriptor
from caseframe.catalog.tables import faces, images, texts


@dataclass(frozen=True, slots=True)
class DescribedFace:
    """A face in pixels of the upright picture; `descriptor` holds 128 numbers, or none."""

    x: int
    y: int
    width: int
    height: int
    descriptor: list[float]


@dataclass(frozen=True, slots=True)
class Described:
    """One picture. Digests are raw bytes; `metadata` tags by group; resolution dots an inch."""

    tile: Tile
    md5: bytes
    sha1: bytes
    colorspace: str | None
    bit_depth: int | None
    resolution_dpi: float | None
    added_at: datetime
    metadata: dict[str, dict[str, Any]]
    faces: tuple[DescribedFace, ...]
    caption: str


def describe_tiles(connection: Connection, tiles: Sequence[Tile]) -> list[Described]:
    """The same tiles with all of that, in the same order."""
    numbers = [tile.image_id for tile in tiles]
    columns, metadata = _columns(connection, numbers), _metadata(connection, numbers)
    found, captions = _faces(connection, numbers), _captions(connection, numbers)
    return [
        Described(
            tile,
            **columns[tile.image_id],
            metadata=metadata.get(tile.image_id, {}),
            faces=tuple(found.get(tile.image_id, ())),
            caption=captions.get(tile.image_id, ""),
        )
        for tile in tiles
        if tile.image_id in columns  # else its job was deleted between two of the questions
    ]


def _columns(connection: Connection, numbers: list[int]) -> dict[int, dict[str, Any]]:
    """What stands in the image's own row, under the names of `Described`."""
    c = images.c
    query = select(
        c.id, c.md5, c.sha1, c.colorspace, c.bit_depth, c.resolution_dpi, c.added_at
    ).where(c.id.in_(numbers))
    found = {}
    for row in connection.execute(query).mappings():
        values = {name: row[name] for name in row if name != "id"}
        found[row["id"]] = values | {name: bytes(row[name]) for name in ("md5", "sha1")}
    return found


def _metadata(connection: Connection, numbers: list[int]) -> dict[int, dict[str, Any]]:
    return {
        number: json.loads(said["exif"] or "{}").get("metadata", {})
        for number, said in payloads(connection, numbers, ("exif",)).items()
    }


def _faces(connection: Connection, numbers: list[int]) -> dict[int, list[DescribedFace]]:
    c = faces.c
    query = select(c.image_id, c.x, c.y, c.width, c.height, c.descriptor)
    found: dict[int, list[DescribedFace]] = {}
    for row in connection.execute(query.where(c.image_id.in_(numbers)).order_by(c.id)):
        face = DescribedFace(*row[1:5], descriptor=unpack_descriptor(row[5]))
        found.setdefault(row[0], []).append(face)
    return found


def _captions(connection: Connection, numbers: list[int]) -> dict[int, str]:
    c = texts.c
    query = select(c.image_id, c.value).where(c.image_id.in_(numbers), c.field == "caption")
    return {number: said for number, said in connection.execute(query.order_by(c.id.desc()))}  # noqa: C416 - rows are no plain pairs
