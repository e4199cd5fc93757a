"""What is needed to show one image of a job: its thumbnail, and where its content stands."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from caseframe.catalog.gallery import gallery_of, tile_id
from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.tables import files, images, thumbnails
from caseframe.domain.errors import NotFound

_MOST_PATHS = 20
_SMALL = (  # made once: to put it together takes as long as to ask it
    select(images.c.sha256, thumbnails.c.mime, thumbnails.c.data)
    .select_from(tiles)
    .join(images, images.c.id == tiles.c.image_id)
    .outerjoin(thumbnails, thumbnails.c.image_id == tiles.c.image_id)
    .where(tiles.c.id == bindparam("tile"))
)


@dataclass(frozen=True, slots=True)
class Small:
    """A thumbnail and the digest of the content it was made of; no `data` where there is none."""

    sha256: bytes
    mime: str | None
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Content:
    """The content of an image and the paths in the job at which it should stand, in order."""

    sha256: bytes
    size: int
    mime: str
    paths: tuple[bytes, ...]


def small(connection: Connection, gallery: int, image_id: int) -> Small:
    """The thumbnail of an image of a gallery (see `gallery_of`). Raises NotFound."""
    row = connection.execute(_SMALL, {"tile": tile_id(gallery, image_id)}).first()
    if row is None:
        raise NotFound(f"the job shows no picture {image_id}")
    return Small(bytes(row[0]), row[1], None if row[2] is None else bytes(row[2]))


def content(connection: Connection, job_id: str, image_id: int) -> Content:
    """What an image of a job is and where it stands there. Raises NotFound."""
    number = tile_id(gallery_of(connection, job_id), image_id)
    query = (
        select(images.c.sha256, images.c.size, images.c.mime)
        .join(tiles, tiles.c.image_id == images.c.id)
        .where(tiles.c.id == number)
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"the job shows no picture {image_id}")
    c = files.c
    places = select(c.path, c.missing).where(c.image_id == image_id, c.job_id == job_id).limit(1000)
    found = sorted((bool(gone), bytes(path)) for path, gone in connection.execute(places))
    return Content(bytes(row[0]), row[1], row[2], tuple(path for _, path in found[:_MOST_PATHS]))
