"""Everything that a page asks of the catalog, by kind: what is timed at two sizes.

What people filter by most: words in every second, every hundredth, every thousandth picture, in a
few, in none; phrases and fields; values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, true

from caseframe.catalog import detail, facets, gallery, showing, tally, world
from caseframe.catalog.order import Sort
from caseframe.catalog.problem_list import ProblemKind, ProblemQuery, problem_list
from caseframe.catalog.search.choices import Area, GalleryQuery
from caseframe.catalog.timeline import Unit, timeline

PAGE_MS, SEARCH_MS = 50.0, 150.0
SEARCHES = ("picture", "harbour", "zeppelin", "walrus", "nowhere", '"red boat"', "boat*",
            "camera:nikon", 'camera:nikon place:chamonix "red boat"', "harbour -red", "-red",
            "harbour OR zeppelin")  # fmt: skip
FILTERS = ("date:2016", "date:2016-07", "faces:>4", "is:duplicate", "has:problem", "state:corrupt",
           "format:png", "width:>1000", "size:>20MB", "faces:0 has:place")  # fmt: skip
SORTS = ("path", "-captured", "size", "-added")
_ALL = GalleryQuery()
_HALF_WAY = 50  # per cent of the pictures that stand before a deep page
Ask = Callable[[Connection, str], object]


@dataclass(frozen=True, slots=True)
class Question:
    """What is timed, in which kind it is counted, and its bound in milliseconds."""

    kind: str
    name: str
    ask: Ask

    @property
    def bound(self) -> float:
        """What it may take as orientation, in milliseconds."""
        return SEARCH_MS if self.kind == "search" else PAGE_MS


def questions() -> Iterator[Question]:
    """All of them."""
    yield from _gallery()
    yield from _counts()
    yield from _picture()
    yield from _timelines()
    yield from _maps()
    yield from _problems()
    yield Question("progress", "progress", tally.progress)
    yield Question("job list", "cards", lambda c, _: tally.job_cards(c, true()))
    yield Question("job list", "jobs of the original interface",
                   lambda c, _: tally.counted_jobs(c, true()))  # fmt: skip


def _gallery() -> Iterator[Question]:
    for sort in SORTS:
        order = Sort.read(sort)
        yield Question("page", f"first by {sort}", _page(_ALL, order))
        yield Question("sort", f"deep by {sort}", _deep(order))
        yield Question("sort", f"deep and back by {sort}", _deep(order, back=True))
        for text in FILTERS:
            yield Question("filter", f"{text} by {sort}", _page(GalleryQuery(text), order))
        for text in SEARCHES:
            yield Question("search", f"{text} by {sort}", _page(GalleryQuery(text), order))
        for named, query in _chosen():
            yield Question("filter", f"{named} by {sort}", _page(query, order))


def _chosen() -> Iterator[tuple[str, GalleryQuery]]:
    """What the map's links choose, and what the interface takes beside words."""
    yield "area of a town", GalleryQuery(area=Area(45.7, 6.7, 46.1, 7.1))
    yield "camera exactly", GalleryQuery(camera="NIKON CORPORATION NIKON D750")
    yield "country and word", GalleryQuery("picture", country="Fiji")


def _page(query: GalleryQuery, order: Sort) -> Ask:
    return lambda connection, job: gallery.page(connection, job, query, order, limit=200)


def _deep(order: Sort, *, back: bool = False) -> Ask:
    def ask(connection: Connection, job: str) -> object:
        cursor = gallery.cursor_of(connection, job, _middle(connection, job), order)
        ways = {"before": cursor} if back else {"after": cursor}
        return gallery.page(connection, job, sort=order, limit=200, **ways)  # type: ignore[arg-type]

    return ask


def _middle(connection: Connection, job: str) -> int:
    return tally.progress(connection, job).pictures * _HALF_WAY // 100


def _counts() -> Iterator[Question]:
    yield Question("filter", "choices of the menus", facets.facets)
    yield Question("page", "number of all", gallery.count)
    for text in (*SEARCHES, *FILTERS):
        yield Question("search" if text in SEARCHES else "filter", f"number of {text}",
                       _count(text))  # fmt: skip


def _count(text: str) -> Ask:
    return lambda connection, job: gallery.count(connection, job, GalleryQuery(text))


def _picture() -> Iterator[Question]:
    """What the panes and the full view ask beside one picture."""

    def on_middle(ask: Callable[[Connection, str, int], object]) -> Ask:
        return lambda connection, job: ask(connection, job, _middle(connection, job))

    yield Question("page", "panes of a picture", on_middle(detail.detail))
    yield Question("page", "where a picture stands", on_middle(showing.content))
    for sort in SORTS:
        for kind, text in (("page", ""), ("search", "harbour"), ("filter", "date:2016")):
            asked = GalleryQuery(text), Sort.read(sort)
            named = f"[{text}] by {sort}"
            yield Question(kind, f"neighbours in {named}", on_middle(
                partial(_neighbours, *asked)))  # fmt: skip
            yield Question(kind, f"page around in {named}", on_middle(partial(_around, *asked)))


def _neighbours(query: GalleryQuery, sort: Sort, c: Connection, job: str, image: int) -> object:
    return gallery.neighbours(c, job, image, query, sort)


def _around(query: GalleryQuery, sort: Sort, c: Connection, job: str, image: int) -> object:
    return gallery.around(c, job, image, query, sort)


def _timelines() -> Iterator[Question]:
    for unit in Unit:
        for text in ("", "picture", "harbour", "walrus", '"red boat"', "camera:nikon", "-red",
                     "faces:>4", "date:2010..2016"):  # fmt: skip
            yield Question("timeline", f"[{text}] by {unit}", _timeline(text, unit))


def _timeline(text: str, unit: Unit) -> Ask:
    return lambda connection, job: timeline(connection, job, GalleryQuery(text), unit)


def _maps() -> Iterator[Question]:
    views = {
        "the world": (Area(-90, -180, 90, 180), 2),
        "Europe": (Area(30, -20, 65, 30), 5),
        "a region": (Area(44.9, 5.4, 46.9, 8.4), 9),
        "a town": (Area(45.8, 6.7, 46, 7.1), 12),
        "streets": (Area(45.89, 6.89, 45.91, 6.93), 16),
        "a cluster apart": (Area(45, 6, 47, 8), 20),
    }
    for named, (area, zoom) in views.items():
        for text in ("", "picture", "harbour", '"red boat"', "-red", "date:2010..2016"):
            yield Question("map", f"[{text}] of {named}", _map(text, area, zoom))


def _map(text: str, area: Area, zoom: int) -> Ask:
    query = GalleryQuery(text)
    return lambda connection, job: world.map_clusters(connection, job, query, area, zoom)


def _problems() -> Iterator[Question]:
    usual = tuple(kind for kind in ProblemKind if kind is not ProblemKind.UNAVAILABLE)
    for query in (
        ProblemQuery(kinds=usual), ProblemQuery("exif", usual), ProblemQuery("scan", usual),
        ProblemQuery(None, (ProblemKind.FAILED,)), ProblemQuery(None, usual, "trip-00001"),
        ProblemQuery(None, usual, "no such text"),
    ):  # fmt: skip
        named = f"problems {query.stage or ''} {query.text}".strip()
        yield Question("filter", f"{named}, {len(query.kinds)} kinds", _problem_page(query))


def _problem_page(query: ProblemQuery) -> Ask:
    return lambda connection, job: problem_list(connection, job, query)
