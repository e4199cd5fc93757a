"""The gallery as requests ask for it: what is chosen, in which order, and places to jump to."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import total_ordering
from typing import Annotated
from weakref import WeakKeyDictionary

from anyio import from_thread
from fastapi import Depends, Query, Request
from sqlalchemy import Connection

from caseframe.catalog import gallery, tally
from caseframe.catalog.database import Catalog
from caseframe.catalog.gallery import MOST_TILES
from caseframe.catalog.order import Place, Sort, place_of
from caseframe.catalog.search.choices import Area, GalleryQuery
from caseframe.domain.errors import UsageError
from caseframe.web.services import Services, services

_LONGEST = 2000
_KEPT = 32
_BLOCK = 200
"""Tiles between two landmarks by which a position is found; what our own page asks for too."""


def area_of(text: str) -> Area:
    """`south,west,north,east` in degrees. Raises UsageError."""
    try:
        south, west, north, east = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(
            "an area is south, west, north, east in degrees, such as 45,5,47,8"
        ) from None
    return Area(south, west, north, east)


async def chosen(
    here: Annotated[Services, Depends(services)],
    q: Annotated[str, Query(max_length=_LONGEST, description="what to search for")] = "",
    camera: Annotated[str | None, Query(max_length=500, description="exactly this one")] = None,
    country: Annotated[str | None, Query(max_length=500)] = None,
    town: Annotated[str | None, Query(max_length=500)] = None,
    area: Annotated[
        str | None, Query(max_length=100, description="south,west,north,east in degrees")
    ] = None,
) -> GalleryQuery:
    """Which pictures of a job are meant."""
    fields = frozenset[str]().union(*(stage.fields for stage in here.stages))
    within = None if area is None else area_of(area)
    return GalleryQuery(q, camera, country, town, within, fields)


async def ordered(
    sort: Annotated[
        str, Query(max_length=20, description="path, captured, size or added; -path turns round")
    ] = "path",
) -> Sort:
    """In which order they are meant."""
    return Sort.read(sort)


Chosen = Annotated[GalleryQuery, Depends(chosen)]
Ordered = Annotated[Sort, Depends(ordered)]


def until_gone(request: Request) -> Callable[[], bool]:
    """What long work in a route's thread asks between two steps: whether the asker is gone."""

    def gone() -> bool:
        return from_thread.run(request.is_disconnected)

    return gone


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Cursors of every n-th tile (as catalog.gallery.landmarks has them) and how many there are."""

    cursors: tuple[str, ...]
    total: int


_Key = tuple[str, GalleryQuery, Sort, int, tuple[int, int]]
_kept: WeakKeyDictionary[Catalog, OrderedDict[_Key, Landmarks]] = WeakKeyDictionary()
_lock = threading.Lock()


def landmarks(
    catalog: Catalog,
    job_id: str,
    query: GalleryQuery,
    sort: Sort,
    every: int,
    stop: Callable[[], bool],
) -> Landmarks:
    """Places to jump to, remembered until the gallery changes. Raises Stopped."""
    with catalog.read() as connection:
        key = (job_id, query, sort, every, tally.gallery_state(connection, job_id))
        with _lock:
            found = _kept.setdefault(catalog, OrderedDict()).get(key)
        if found is None:
            found = _walked(connection, job_id, query, sort, every, stop)
            with _lock:
                of_catalog = _kept[catalog]
                of_catalog[key] = found
                while len(of_catalog) > _KEPT:
                    of_catalog.popitem(last=False)
        return found


def _walked(
    connection: Connection,
    job_id: str,
    query: GalleryQuery,
    sort: Sort,
    every: int,
    stop: Callable[[], bool],
) -> Landmarks:
    cursors = gallery.landmarks(connection, job_id, query, sort, every=every, stop=stop)
    total = len(cursors) * every
    at = cursors[-1] if cursors else None
    while True:  # what stands behind the last landmark is less than `every`
        page = gallery.page(connection, job_id, query, sort, after=at, limit=MOST_TILES)
        total += len(page.tiles)
        at = page.next
        if at is None:
            return Landmarks(tuple(cursors), total)


@total_ordering
class _Ordered:
    """A place that compares as the order has it; those without a key stand last."""

    def __init__(self, sort: Sort, place: Place) -> None:
        self._falling = sort.descending
        # Where the key is the id itself no place has another key, and nothing stands last.
        self._rank = (place.key is None, place.id if place.key is None else place.key, place.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Ordered) and self._rank == other._rank

    def __hash__(self) -> int:
        return hash(self._rank)

    def __lt__(self, other: _Ordered) -> bool:
        mine, theirs = self._rank, other._rank
        if mine[0] != theirs[0]:
            return theirs[0]
        return mine > theirs if self._falling else mine < theirs


def position(
    catalog: Catalog,
    job_id: str,
    image_id: int,
    query: GalleryQuery,
    sort: Sort,
    stop: Callable[[], bool],
) -> int | None:
    """How many tiles stand before an image; None when the query does not fit it.

    Raises NotFound for an image that the job does not show, Stopped.
    """
    with catalog.read() as connection:
        here = _Ordered(sort, place_of(sort, gallery.cursor_of(connection, job_id, image_id, sort)))
    known = landmarks(catalog, job_id, query, sort, _BLOCK, stop).cursors
    block = bisect_left(known, here, key=lambda text: _Ordered(sort, place_of(sort, text)))
    with catalog.read() as connection:
        after = known[block - 1] if block else None
        page = gallery.page(connection, job_id, query, sort, after=after, limit=_BLOCK)
    ids = [tile.image_id for tile in page.tiles]
    return block * _BLOCK + ids.index(image_id) if image_id in ids else None
