"""Does a catalog of a million pictures answer as quickly as one of ten thousand?

`python -m bench catalog-size`, or `python -m bench.catalog_size 10000 100000` for other sizes.
PostgreSQL is the one of CASEFRAME_TEST_POSTGRESQL or the one that runs here.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, true
from tests.support import postgresql

from bench.catalog_rows import fill
from bench.report import Report
from caseframe.catalog import gallery, tally
from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite
from caseframe.catalog.order import Sort
from caseframe.catalog.search.choices import GalleryQuery

SIZES = (10_000, 1_000_000)
AT_MOST = 3.0
ROUNDS = 20
PAGE_MS, SEARCH_MS = 50.0, 150.0
# What people do most: no filter; words in every second, every hundredth, every thousandth picture,
# in a few, in none; phrases and fields; filters.
SEARCHES = ("picture", "harbour", "zeppelin", "walrus", "nowhere", '"red boat"', "boat*",
            "camera:nikon", 'camera:nikon place:chamonix "red boat"', "harbour -red",
            "harbour OR zeppelin")  # fmt: skip
FILTERS = ("date:2016", "date:2016-07", "faces:>4", "is:duplicate", "has:problem", "state:corrupt",
           "format:png", "width:>1000", "size:>20MB", "faces:0 has:place")  # fmt: skip
SORTS = ("path", "-captured", "size", "-added")
Question = Callable[[Connection, str], object]


def questions() -> Iterator[tuple[str, float, Question]]:
    """(name, bound in ms, question) of everything that is timed."""
    for sort in SORTS:
        order = Sort.read(sort)
        yield f"first page by {sort}", PAGE_MS, _page("", order)
        yield f"deep page by {sort}", PAGE_MS, _deep(order)
        for text in FILTERS:
            yield f"filter {text} by {sort}", PAGE_MS, _page(text, order)
        for text in SEARCHES:
            yield f"search {text} by {sort}", SEARCH_MS, _page(text, order)
    yield "progress", PAGE_MS, tally.progress
    yield "list of jobs", PAGE_MS, lambda connection, _: tally.job_cards(connection, true())


def _page(text: str, order: Sort) -> Question:
    query = GalleryQuery(text)
    return lambda connection, job: gallery.page(connection, job, query, order)


def _deep(order: Sort) -> Question:
    def ask(connection: Connection, job: str) -> object:
        middle = tally.progress(connection, job).pictures // 2
        cursor = gallery.cursor_of(connection, job, middle, order)
        return gallery.page(connection, job, sort=order, after=cursor)

    return ask


def bench(report: Report, sizes: tuple[int, int] = SIZES) -> None:
    """Print the p95 of each question at both sizes, for each database."""
    for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        report.heading(f"{name}: p95 with {sizes[1]:,} pictures against {sizes[0]:,}")
        with opened() as small, opened() as large:
            if small is None or large is None:
                report.line(name, "does not run here: not measured")
                continue
            _compare(report, [(c, _filled(report, c, n)) for c, n in zip((small, large), sizes,
                                                                         strict=True)])  # fmt: skip


def _filled(report: Report, catalog: Catalog, count: int) -> str:
    began = time.perf_counter()
    job = fill(catalog, count)
    report.line(f"made {count:,} pictures", f"{time.perf_counter() - began:.0f} s")
    return job


def _compare(report: Report, sides: list[tuple[Catalog, str]]) -> None:
    for name, bound, ask in questions():
        small, large = (_p95(catalog, job, ask) for catalog, job in sides)
        report.limit(f"{name}: ratio", large / small, at_most=AT_MOST, unit="x")
        report.limit(f"{name}: {small:.1f} ms, then", large, at_most=bound, unit="ms")


def _p95(catalog: Catalog, job: str, ask: Question) -> float:
    """Milliseconds, a connection of its own each time as a request has; warmed up once."""
    times = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        with catalog.read() as connection:
            ask(connection, job)
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times[1:])[int(ROUNDS * 0.95) - 1]


@contextmanager
def _sqlite() -> Iterator[Catalog | None]:
    with tempfile.TemporaryDirectory(prefix="bench-catalog-") as folder:
        catalog = open_sqlite(Path(folder) / "catalog.sqlite")
        yield catalog
        catalog.close()


@contextmanager
def _postgresql() -> Iterator[Catalog | None]:
    server = postgresql.server()
    if server is None:
        yield None
        return
    with postgresql.database(server) as url:
        catalog = open_postgresql(url)
        yield catalog
        catalog.close()


if __name__ == "__main__":
    small, large = (int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else SIZES
    bench(Report(sys.stdout), (small, large))
