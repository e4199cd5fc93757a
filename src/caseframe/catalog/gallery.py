"""The gallery of a job: pages of tiles in an order, by keyset only, and places to jump to.

Every question is asked of one job; whether the asker may see it is the caller's to check. An image
that the job does not show is NotFound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from caseframe.catalog.gallery_tables import IMAGE_BITS, galleries, tallies, tiles
from caseframe.catalog.matching import ids_of
from caseframe.catalog.order import NO_PLACE, Place, Sort, cursor, place_of
from caseframe.catalog.parts import count_fitting
from caseframe.catalog.patience import never
from caseframe.catalog.search.choices import GalleryQuery, plan_of
from caseframe.catalog.tables import files, images, thumbnails
from caseframe.catalog.walk import find, known, steps
from caseframe.catalog.way import Way
from caseframe.domain.errors import NotFound, UsageError

MOST_TILES = 500
"""Tiles that one page may have."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of the grid. Sizes are bytes and pixels; `captured_at` is ISO 8601 as stored."""

    image_id: int
    sha256: bytes
    path: bytes
    path_text: str
    size: int
    state: str
    mime: str
    format: str | None
    width: int | None
    height: int | None
    captured_at: str | None
    faces: int | None
    copies: int
    problem: bool
    thumbnail: bool
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Tiles in their order, and cursors for the pages around; None where there is no more."""

    tiles: tuple[Tile, ...] = ()
    next: str | None = None
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many tiles there are; not `exact` means at least so many."""

    number: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The image ids before and behind one in an order; None at an end."""

    before: int | None = None
    behind: int | None = None


_ALL = GalleryQuery()
_BY_PATH = Sort()
_PATH = 2  # where a tile's path stands among its values


def gallery_of(connection: Connection, job_id: str) -> int:
    """The number under which a job's tiles stand. Raises NotFound."""
    query = select(galleries.c.number).where(galleries.c.job_id == job_id)
    number: int | None = connection.scalar(query)
    if number is None:
        raise NotFound("there is no such job")
    return number


def page(
    connection: Connection,
    job_id: str,
    query: GalleryQuery = _ALL,
    sort: Sort = _BY_PATH,
    *,
    after: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> Page:
    """A page of at most `limit` tiles behind or before a cursor; the first one without.

    Raises UsageError for a query or cursor that cannot be read, NotFound without such a job.
    """
    _check_limit(limit)
    if after is not None and before is not None:
        raise UsageError("give one cursor, after or before")
    back = before is not None
    text = before if back else after
    gallery = gallery_of(connection, job_id)
    start = None if text is None else _start(gallery, sort, text)
    way = Way(gallery, sort, plan_of(connection, query), back)
    places = find(connection, way, start, limit + 1)
    more = len(places) > limit
    places = places[:limit]
    if back:
        places.reverse()
    if not places:
        return Page()
    before_it = more if back else start is not None
    behind_it = start is not None if back else more
    return Page(
        tuple(tiles_of(connection, [place.id for place in places])),
        next=cursor(sort, places[-1]) if behind_it else None,
        previous=cursor(sort, places[0]) if before_it else None,
    )


def _start(gallery: int, sort: Sort, text: str) -> Place:
    """The place of a cursor: anybody may make one up, and its id stands for the gallery's edge."""
    place = place_of(sort, text)
    least, most = ids_of(gallery)
    if not least <= place.id <= most:
        raise UsageError(NO_PLACE)
    return place


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST_TILES:
        raise UsageError(f"a page has 1 to {MOST_TILES} pictures, not {limit}")


def tiles_of(connection: Connection, ids: Sequence[int]) -> list[Tile]:
    """The tiles of these ids, in this order.

    While a job is deleted in steps, a tile's own file may be gone before its copies: then it has
    the path of one of those.
    """
    t, i = tiles.c, images.c
    small = exists().where(thumbnails.c.image_id == t.image_id)
    query = (
        select(
            t.id, t.image_id, i.sha256, files.c.path, files.c.path_text, t.size, t.state, i.mime,
            t.format, t.width, t.height, i.captured_at, t.faces, t.copies, t.problem, small,
            t.latitude, t.longitude,
        )
        .join(images, i.id == t.image_id)
        .outerjoin(files, files.c.id == t.file_id)
        .where(t.id.in_(ids))
    )  # fmt: skip
    rows = {row[0]: list(row[1:]) for row in connection.execute(query)}
    lost = [number for number, row in rows.items() if row[_PATH] is None]
    for number, *path in connection.execute(_copies(lost)) if lost else ():
        rows[number][_PATH : _PATH + 2] = path
    shown = (rows[number] for number in ids if number in rows)
    return [_tile(row) for row in shown if row[_PATH] is not None]


def _copies(ids: Sequence[int]) -> Select[Any]:
    """Of each of these tiles its id, and path and text of a file that its job has still."""
    other = files.alias()
    mine = (other.c.image_id == tiles.c.image_id, other.c.job_id == galleries.c.job_id)
    first = select(func.min(other.c.id)).where(*mine).correlate(tiles, galleries)
    query = select(tiles.c.id, files.c.path, files.c.path_text)
    query = query.join(galleries, galleries.c.number == tiles.c.gallery)
    return query.join(files, files.c.id == first.scalar_subquery()).where(tiles.c.id.in_(ids))


def _tile(values: list[Any]) -> Tile:
    for at in (1, 2):
        values[at] = bytes(values[at])
    for at in (13, 14):
        values[at] = bool(values[at])
    return Tile(*values)


def count(
    connection: Connection, job_id: str, query: GalleryQuery = _ALL, *, most: int = 10_000
) -> Count:
    """How many tiles fit: exact up to `most`, and whatever the number when nothing is asked."""
    gallery, wanted = gallery_of(connection, job_id), plan_of(connection, query)
    if not wanted.checks:
        total = select(func.sum(tallies.c.count))
        total = total.where(tallies.c.gallery == gallery, tallies.c.topic == "tile")
        return Count(int(connection.scalar(total) or 0))
    number, all_seen = count_fitting(connection, gallery, wanted, most)
    return Count(min(number, most), number <= most and all_seen)


def landmarks(
    connection: Connection,
    job_id: str,
    query: GalleryQuery = _ALL,
    sort: Sort = _BY_PATH,
    *,
    every: int = 1000,
    stop: Callable[[], bool] = never,
) -> list[str]:
    """Cursors of every `every`-th tile: `after` the n-th stands tile (n + 1) * every.

    Takes as long as there are tiles; meant for the background. Raises Stopped when `stop` says so.
    """
    way = Way(gallery_of(connection, job_id), sort, plan_of(connection, query))
    return [cursor(sort, place) for place in steps(connection, way, every, stop)]


def around(
    connection: Connection,
    job_id: str,
    image_id: int,
    query: GalleryQuery = _ALL,
    sort: Sort = _BY_PATH,
    *,
    limit: int = 100,
) -> Page:
    """A page with this image in its middle, whether or not the query fits it. Raises NotFound."""
    _check_limit(limit)
    gallery, wanted = gallery_of(connection, job_id), plan_of(connection, query)
    here = _place(connection, gallery, image_id, sort)
    half = limit // 2
    ahead, behind = _both_ways(connection, Way(gallery, sort, wanted), here, limit - half, half + 1)
    more_behind, behind = len(behind) > half, behind[:half][::-1]
    more_ahead, ahead = len(ahead) >= limit - half, ahead[: limit - half - 1]
    places = [*behind, here, *ahead]
    return Page(
        tuple(tiles_of(connection, [place.id for place in places])),
        next=cursor(sort, places[-1]) if more_ahead else None,
        previous=cursor(sort, places[0]) if more_behind else None,
    )


def neighbours(
    connection: Connection,
    job_id: str,
    image_id: int,
    query: GalleryQuery = _ALL,
    sort: Sort = _BY_PATH,
) -> Neighbours:
    """The images before and behind one. Raises NotFound."""
    gallery, wanted = gallery_of(connection, job_id), plan_of(connection, query)
    here = _place(connection, gallery, image_id, sort)
    ahead, behind = _both_ways(connection, Way(gallery, sort, wanted), here, 1, 1)
    return Neighbours(_image(behind), _image(ahead))


def _both_ways(
    connection: Connection, way: Way, here: Place, ahead: int, behind: int
) -> tuple[list[Place], list[Place]]:
    """The next places ahead of one and behind it."""
    seen = known(connection, way)
    return (
        find(connection, way, here, ahead, seen=seen),
        find(connection, replace(way, back=True), here, behind, seen=seen),
    )


def _image(places: list[Place]) -> int | None:
    return image_of(places[0].id) if places else None


def _place(connection: Connection, gallery: int, image_id: int, sort: Sort) -> Place:
    number = tile_id(gallery, image_id)
    key = sort.column
    query = select(tiles.c.id if key is None else key).where(tiles.c.id == number)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound(f"the job shows no picture {image_id}")
    if key is None:
        return Place(None, number)
    return Place(bytes(row[0]) if isinstance(row[0], bytes | memoryview) else row[0], number)


def image_of(tile: int) -> int:
    """The number of the image of a tile."""
    return tile & ((1 << IMAGE_BITS) - 1)


def tile_id(gallery: int, image_id: int) -> int:
    """The id of the tile of an image. Raises NotFound for what can be no image's number."""
    if not 0 < image_id < 1 << IMAGE_BITS:
        raise NotFound(f"the job shows no picture {image_id}")
    return gallery << IMAGE_BITS | image_id


def cursor_of(connection: Connection, job_id: str, image_id: int, sort: Sort = _BY_PATH) -> str:
    """The cursor that stands at this image. Raises NotFound."""
    return cursor(sort, _place(connection, gallery_of(connection, job_id), image_id, sort))
