"""All that is known of one image in one job, for the panes beside the picture."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, select

from caseframe.catalog import lookup
from caseframe.catalog.gallery import Tile, gallery_of, tile_id, tiles_of
from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.patience import never
from caseframe.catalog.tables import faces, files, images, places, problems, results, tasks, texts
from caseframe.domain.errors import NotFound, Stopped
from caseframe.domain.facts import Place

MOST_PATHS = 1000
"""Paths of one content that are listed."""
NEAR = 31
"""Bits of 256 within which PDQ's authors call two pictures the same."""
LEAST_QUALITY = 50
"""Hashes of pictures with less detail are left out, as PDQ's authors advise."""
_BLOCK = 5000


@dataclass(frozen=True, slots=True)
class PathOf:
    """One path at which the content stands; `modified_ns` is since 1970 UTC."""

    path: bytes
    path_text: str
    modified_ns: int
    missing: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What came of one stage: its state, where the answer is from, and the answer as JSON text."""

    stage: str
    version: str
    state: str
    found: bool | None
    reason: str | None
    attempts: int
    seconds: float | None
    model: str | None
    model_digest: str | None
    finished_at: datetime | None
    payload: str | None


@dataclass(frozen=True, slots=True)
class FaceBox:
    """A face in pixels of the upright picture at its full size."""

    id: int
    image_id: int
    stage: str
    x: int
    y: int
    width: int
    height: int
    score: float


@dataclass(frozen=True, slots=True)
class NamedText:
    """Words that a stage found, under the field name by which they are searched."""

    stage: str
    field: str
    value: str


@dataclass(frozen=True, slots=True)
class Remark:
    """A problem that a stage, or the scan, noted."""

    stage: str
    reason: str


@dataclass(frozen=True, slots=True)
class Detail:
    """One image in one job. Digests are raw bytes, sizes pixels, resolution dots an inch."""

    tile: Tile
    sha1: bytes
    md5: bytes
    orientation: int | None
    colorspace: str | None
    bit_depth: int | None
    resolution_dpi: float | None
    camera_make: str | None
    camera_model: str | None
    lens: str | None
    added_at: datetime
    reason: str | None
    paths: tuple[PathOf, ...] = ()
    stages: tuple[Said, ...] = ()
    faces: tuple[FaceBox, ...] = ()
    place: Place | None = None
    texts: tuple[NamedText, ...] = ()
    problems: tuple[Remark, ...] = ()


def detail(connection: Connection, job_id: str, image_id: int) -> Detail:
    """Everything of an image, with all its paths in this job (not in others). Raises NotFound."""
    number = tile_id(gallery_of(connection, job_id), image_id)
    found = tiles_of(connection, [number])
    if not found:
        raise NotFound(f"the job shows no picture {image_id}")
    c = images.c
    row = connection.execute(
        select(
            c.sha1, c.md5, c.orientation, c.colorspace, c.bit_depth, c.resolution_dpi,
            c.camera_make, c.camera_model, c.lens, c.added_at, c.reason,
        ).where(c.id == image_id)
    ).one()  # fmt: skip
    return Detail(
        found[0], bytes(row[0]), bytes(row[1]), *row[2:],
        paths=_paths(connection, job_id, image_id),
        stages=_stages(connection, image_id),
        faces=tuple(faces_of(connection, job_id, [image_id]).get(image_id, ())),
        place=_place(connection, image_id),
        texts=_texts(connection, image_id),
        problems=_problems(connection, job_id, image_id),
    )  # fmt: skip


def _paths(connection: Connection, job_id: str, image_id: int) -> tuple[PathOf, ...]:
    c = files.c
    query = select(c.path, c.path_text, c.modified_ns, c.missing).where(
        c.image_id == image_id, c.job_id == job_id
    )
    rows = connection.execute(query.order_by(c.id).limit(MOST_PATHS)).all()
    paths = [PathOf(bytes(path), shown, when, bool(gone)) for path, shown, when, gone in rows]
    return tuple(sorted(paths, key=lambda one: one.path))


def _stages(connection: Connection, image_id: int) -> tuple[Said, ...]:
    t, r = tasks.c, results.c
    query = (
        select(
            t.stage, t.version, t.state, t.found, t.reason, t.attempts, t.seconds, t.model,
            t.model_digest, t.finished_at, r.payload,
        )
        .outerjoin(
            results, (r.image_id == t.image_id) & (r.stage == t.stage) & (r.version == t.version)
        )
        .where(t.image_id == image_id)
        .order_by(t.stage, t.version)
    )  # fmt: skip
    rows = connection.execute(query)
    return tuple(Said(*row[:3], None if row[3] is None else bool(row[3]), *row[4:]) for row in rows)


def faces_of(
    connection: Connection, job_id: str, image_ids: Collection[int]
) -> dict[int, list[FaceBox]]:
    """The faces of those of these images that the job shows, by image. Raises NotFound."""
    c = faces.c
    gallery = gallery_of(connection, job_id)
    shown = select(tiles.c.image_id).where(
        tiles.c.id.in_([tile_id(gallery, image) for image in image_ids])
    )
    query = select(c.id, c.image_id, c.stage, c.x, c.y, c.width, c.height, c.score)
    found: dict[int, list[FaceBox]] = {}
    for row in connection.execute(query.where(c.image_id.in_(shown)).order_by(c.id)):
        found.setdefault(row[1], []).append(FaceBox(*row))
    return found


def _place(connection: Connection, image_id: int) -> Place | None:
    c = places.c
    query = select(
        c.latitude, c.longitude, c.altitude_m, c.direction, c.town, c.region, c.country,
        c.country_code, c.distance_km,
    )  # fmt: skip
    row = connection.execute(query.where(c.image_id == image_id).order_by(c.stage)).first()
    return None if row is None else Place(*row)


def _texts(connection: Connection, image_id: int) -> tuple[NamedText, ...]:
    c = texts.c
    query = select(c.stage, c.field, c.value).where(c.image_id == image_id).order_by(c.id)
    return tuple(NamedText(*row) for row in connection.execute(query))


def _problems(connection: Connection, job_id: str, image_id: int) -> tuple[Remark, ...]:
    c = problems.c
    of_image = select(c.stage, c.reason).where(c.image_id == image_id).order_by(c.id)
    here = select(files.c.id).where(files.c.image_id == image_id, files.c.job_id == job_id)
    of_files = select(c.stage, c.reason).where(c.file_id.in_(here)).order_by(c.id)
    rows = [*connection.execute(of_image), *connection.execute(of_files.limit(MOST_PATHS))]
    return tuple(Remark(*row) for row in rows)


def near_twins(
    connection: Connection,
    job_id: str,
    image_id: int,
    *,
    distance: int = NEAR,
    most: int = 50,
    stop: Callable[[], bool] = never,
) -> list[tuple[int, Tile]]:
    """(bits that differ, tile) of pictures of the job that look like this one, nearest first.

    Compares with every picture, so it takes about 2 s a million of them. Raises NotFound; Stopped
    when `stop` says so.
    """
    gallery = gallery_of(connection, job_id)
    if not tiles_of(connection, [tile_id(gallery, image_id)]):
        raise NotFound(f"the job shows no picture {image_id}")
    bits = connection.scalar(select(images.c.pdq).where(images.c.id == image_id))
    if bits is None:
        return []
    found: list[tuple[int, int]] = []
    block: list[tuple[int, bytes]] = []
    for pair in lookup.hashes(connection, job_id, LEAST_QUALITY):
        block.append(pair)
        if len(block) == _BLOCK:
            if stop():
                raise Stopped
            found += _near(block, bytes(bits), distance)
            block = []
    found += _near(block, bytes(bits), distance)
    nearest = sorted(pair for pair in found if pair[1] != image_id)[:most]
    ids = [tile_id(gallery, number) for _, number in nearest]
    shown = {tile.image_id: tile for tile in tiles_of(connection, ids)}
    return [(away, shown[number]) for away, number in nearest if number in shown]


def _near(block: list[tuple[int, bytes]], bits: bytes, distance: int) -> list[tuple[int, int]]:
    """(distance, image id) of those within `distance` bits."""
    if not block:
        return []
    hashes = np.frombuffer(b"".join(b for _, b in block), dtype=np.uint8).reshape(-1, len(bits))
    different = np.bitwise_xor(hashes, np.frombuffer(bits, dtype=np.uint8))
    away = np.bitwise_count(different).sum(axis=1)
    return [(int(a), n) for a, (n, _) in zip(away, block, strict=True) if a <= distance]
