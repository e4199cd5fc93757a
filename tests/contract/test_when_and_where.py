"""The timeline and the map, whole and in parts, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

import random
from collections import Counter
from itertools import product

import pytest
from sqlalchemy import Connection, delete, select, update
from tests.support.outcomes import done, outcome

from caseframe.catalog import gallery, jobs, parts, timeline, world
from caseframe.catalog.database import Catalog
from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.recording import record
from caseframe.catalog.search.choices import Area, GalleryQuery
from caseframe.catalog.tables import images
from caseframe.catalog.timeline import Unit
from caseframe.domain.errors import NotFound, UsageError
from caseframe.domain.facts import Capture, Facts, Place, Text

QUERIES = ["", "red", "zeppelin", "-red", "red -boat", "nothing", "date:2003..2004-06-12",
           "date:>2005 date:<2007", "date:..2004 red", '"red boat"', "width:>1", "red OR date:2003",
           f"sha256:{'0' * 64}", "has:place", "boat*"]  # fmt: skip
AREAS = [
    Area(-90, -180, 90, 180), Area(-2, 179, 2, -179), Area(10, 0, 20, 10), Area(-1, 170, 0, 180),
    Area(0, -180, 0, -180), Area(0.1, 179.9, 0.2, -179.9), Area(-2, 3, 3, 2), Area(89, 0, 90, 1),
]  # fmt: skip


def _facts(number: int) -> Facts:
    rng = random.Random(number)
    words = [rng.choice(["red", "blue"]), rng.choice(["boat", "house"])]
    words += ["zeppelin"] if number % 40 == 0 else []
    day = f"{rng.randrange(2002, 2008)}-{rng.randrange(1, 13):02}-{rng.randrange(11, 14)}"
    at = [(rng.uniform(-1, 1), rng.uniform(179, 180)), (rng.uniform(-1, 1), -179.5),
          (0.0, 180.0), (0.0, -180.0), (-90.0, 0.0), (90.0, 0.5)][number % 6]  # fmt: skip
    return Facts(
        capture=Capture(f"{day}T23:59:59") if number % 3 else None,
        place=Place(*at) if number % 5 < 3 else None,
        texts=(Text("caption", " ".join(words)),),
    )


@pytest.fixture
def job(catalog: Catalog) -> str:
    """600 pictures in one job, and some in another that must not be seen."""
    with catalog.begin() as connection:
        other, made = (jobs.create_job(connection, "a job", b"/s", ()).id for _ in range(2))
        for of, numbers in ((other, range(90)), (made, range(600)), (other, range(590, 700))):
            record(connection, of, [
                outcome(b"%d.jpg" % n, b"%d" % n, done("exif", facts=_facts(n)), size=n)
                for n in numbers
            ])  # fmt: skip
    return made


@pytest.fixture(params=[None, 40])
def most(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """The usual size of a part, and one of which these pictures need several."""
    if request.param is not None:
        monkeypatch.setattr(parts, "MOST_LOOKED_AT", request.param)
        monkeypatch.setattr(world, "MOST_LOOKED_AT", request.param)
        monkeypatch.setattr(timeline, "MOST_DAYS", request.param)
    return request.param  # type: ignore[no-any-return]


def _bars(connection: Connection, job: str, query: GalleryQuery, unit: Unit) -> dict[str, int]:
    found: Counter[str] = Counter()
    after: int | None = None
    while True:
        one = timeline.timeline(connection, job, query, unit, after=after)
        assert [bar.start for bar in one.buckets] == sorted({bar.start for bar in one.buckets})
        found.update({bar.start: bar.count for bar in one.buckets})
        if one.next is None:
            return dict(found)
        assert after is None or one.next > after
        after = one.next


def _clusters(
    connection: Connection, job: str, query: GalleryQuery, area: Area, zoom: int
) -> tuple[dict[tuple[int, int], tuple[int, float, float]], Area]:
    """(count, latitude, longitude) by cell, and the area that was counted."""
    found: dict[tuple[int, int], tuple[int, float, float]] = {}
    after: int | None = None
    while True:
        one = world.map_clusters(connection, job, query, area, zoom, after=after)
        assert [c.count for c in one.clusters] == sorted(c.count for c in one.clusters)[::-1]
        for c in one.clusters:
            before = found.get((c.down, c.across), (0, 0.0, 0.0))
            count = before[0] + c.count
            share = c.count / count
            found[c.down, c.across] = (
                count,
                before[1] + share * (c.latitude - before[1]),
                before[2] + share * (c.longitude - before[2]),
            )
        if one.next is None:
            return found, one.bounds
        after = one.next


def _shown(connection: Connection, job: str, query: GalleryQuery) -> list[gallery.Tile]:
    found: list[gallery.Tile] = []
    after: str | None = None
    while True:
        page = gallery.page(connection, job, query, after=after, limit=500)
        found += page.tiles
        after = page.next
        if after is None:
            return found


def test_the_timeline_counts_what_the_gallery_shows(
    catalog: Catalog, job: str, most: int | None
) -> None:
    del most
    with catalog.read() as connection:
        for query in map(GalleryQuery, QUERIES):
            shown = [t.captured_at for t in _shown(connection, job, query) if t.captured_at]
            for unit, length in ((Unit.YEAR, 4), (Unit.MONTH, 7), (Unit.DAY, 10)):
                expected = Counter(moment[:length] for moment in shown)
                assert _bars(connection, job, query, unit) == expected, (query, unit)


def test_the_map_counts_what_the_gallery_shows(
    catalog: Catalog, job: str, most: int | None
) -> None:
    del most
    with catalog.read() as connection:
        for number, (query, area) in enumerate(product(QUERIES, AREAS)):
            zoom = (1, 12, 12)[number % 3]  # 8 areas: each query and each area meets both
            asked = query, area, zoom
            found, counted = _clusters(connection, job, GalleryQuery(query), area, zoom)
            shown = _shown(connection, job, GalleryQuery(query, area=counted))
            assert sum(count for count, _, _ in found.values()) == len(shown), asked
            for at, edge in enumerate(("latitude", "longitude"), 1):
                middle = sum(one[0] * one[at] for one in found.values())
                exact = pytest.approx(sum(getattr(t, edge) for t in shown), abs=1e-4)
                assert middle == exact, asked
            inside = _shown(connection, job, GalleryQuery(query, area=area))
            assert {t.image_id for t in inside} <= {t.image_id for t in shown}, asked


def test_a_map_has_no_more_cells_than_it_may(catalog: Catalog, job: str) -> None:
    with catalog.read() as connection:
        for zoom in range(21):
            known = world.map_clusters(connection, job, zoom=zoom)
            assert sum(c.count for c in known.clusters) == 360
            assert known.zoom == min(zoom, 3)
        close = world.map_clusters(connection, job, bounds=Area(-1e-4, 180, 1e-4, 180), zoom=20)
        assert (close.zoom, sum(c.count for c in close.clusters)) == (20, 60)
        assert world.map_clusters(connection, job, bounds=Area(10, 0, 20, 10)).clusters == ()


def test_what_is_asked_wrongly_is_refused(catalog: Catalog, job: str) -> None:
    with catalog.read() as connection:
        for zoom in (-1, 21):
            with pytest.raises(UsageError):
                world.map_clusters(connection, job, zoom=zoom)
        with pytest.raises(UsageError):
            timeline.timeline(connection, job, GalleryQuery("size:large"))
        for ask in (world.map_clusters, timeline.timeline):
            with pytest.raises(NotFound):
                ask(connection, "no such job")
    for edges in ((5, 0, 1, 1), (float("nan"), 0, 1, 1)):
        with pytest.raises(UsageError):
            Area(*edges)


def test_a_part_goes_on_behind_any_number(catalog: Catalog, job: str) -> None:
    """Whoever asks may give what was never a `next`."""
    with catalog.read() as connection:
        for after in (0, 10**6, 2**40 - 1):
            for query in ("", "red", "-red"):
                wanted = GalleryQuery(query)
                for unit in Unit:
                    some = timeline.timeline(connection, job, wanted, unit, after=after)
                    assert sum(bar.count for bar in some.buckets) <= 400
                world.map_clusters(connection, job, wanted, after=after)


def test_counts_follow_what_happens(catalog: Catalog, job: str) -> None:
    with catalog.begin() as connection:
        numbers = connection.scalars(select(images.c.id).order_by(images.c.id)).all()
        connection.execute(delete(tiles).where(tiles.c.image_id.in_(numbers[:200])))
        connection.execute(update(tiles).values(captured=-62_135_596_800, month=101))
        connection.execute(update(tiles).values(latitude=None, longitude=None))
        days = timeline.timeline(connection, job, unit=Unit.DAY)
        assert [bar.start for bar in days.buckets] == ["0001-01-01"]
        assert world.map_clusters(connection, job).clusters == ()
