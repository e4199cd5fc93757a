"""Does a catalog of a million pictures answer as quickly as one of ten thousand?

`python -m bench catalog-size`, or `python -m bench.catalog_size 10000 100000` for other sizes.
PostgreSQL is the one of CASEFRAME_TEST_POSTGRESQL or the one that runs here. To make the pictures
takes minutes: with CASEFRAME_BENCH_KEEP=folder the catalogs stay (SQLite's there, PostgreSQL's on
its server as `caseframe_bench_…`) and the next run goes on with them, migrated where needed.

Times are by the clock; ratios are of processor time, of this process and PostgreSQL's, which other
programs on the machine change less.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg
from sqlalchemy import Connection, text
from tests.support import postgresql

from bench.catalog_fill import fill_postgresql, fill_sqlite
from bench.catalog_questions import PAGE_MS, SEARCH_MS, Question, questions
from bench.report import Report
from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite

SIZES = (10_000, 1_000_000)
AT_MOST = 3.0
ROUNDS = 12
FIRST_MS = 1000.0
_KEEP = "CASEFRAME_BENCH_KEEP"
_EVERY = 30.0  # seconds between two lines about progress
_LEAST_CPU = 0.5  # milliseconds below which a ratio says more of the clock than of the query


@dataclass(frozen=True, slots=True)
class _Times:
    """Milliseconds of each round, by the clock and of processors."""

    clock: tuple[float, ...]
    cpu: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """One question at both sizes."""

    question: Question
    small: _Times
    large: _Times

    @property
    def ratio(self) -> float:
        """How many times the processor time of the small catalog the large one takes."""
        return median(self.large.cpu) / max(median(self.small.cpu), _LEAST_CPU)


def bench(report: Report, sizes: tuple[int, int] = SIZES) -> None:
    """Print what takes more than it may, and the p95 of each kind at both sizes."""
    for name, opened in (("SQLite", _sqlite), ("PostgreSQL", _postgresql)):
        report.heading(f"{name}: {sizes[1]:,} pictures against {sizes[0]:,}")
        with ExitStack() as stack:
            catalogs = [stack.enter_context(opened(report, size)) for size in sizes]
            if None in catalogs:
                report.line(name, "does not run here: not measured")
                continue
            _compare(report, [catalog for catalog in catalogs if catalog is not None])


def _compare(report: Report, catalogs: list[Catalog]) -> None:
    sides = [(catalog, _job(catalog)) for catalog in catalogs]
    found: list[_Asked] = []
    said = time.monotonic()
    for question in questions():
        small, large = (_timed(catalog, job, question) for catalog, job in sides)
        found.append(_Asked(question, small, large))
        if time.monotonic() - said > _EVERY:
            said = time.monotonic()
            report.line("asked so far", f"{len(found)}, last {question.kind} {question.name}")
    _print(report, found)


def _print(report: Report, found: list[_Asked]) -> None:
    over = sorted((one for one in found if one.ratio > AT_MOST), key=lambda one: -one.ratio)
    for one in over:
        cpu = f"{median(one.small.cpu):.1f} to {median(one.large.cpu):.1f} ms of processor"
        report.line(f"{one.question.kind}: {one.question.name}", f"{one.ratio:.1f} x, {cpu}")
    report.limit(f"of {len(found)} questions over {AT_MOST:g} x", len(over), at_most=0, unit="")
    for kind in dict.fromkeys(one.question.kind for one in found):
        _print_kind(report, kind, [one for one in found if one.question.kind == kind])
    slow = [one for one in found if _p95(one.large.clock) > one.question.bound]
    for one in sorted(slow, key=lambda one: -_p95(one.large.clock)):
        took = f"p95 {_p95(one.large.clock):.0f} ms, {median(one.large.cpu):.0f} ms of processor"
        report.line(f"slow: {one.question.kind}: {one.question.name}", took)
    _opening(report, found)


def _print_kind(report: Report, kind: str, found: list[_Asked]) -> None:
    """The p95 over all rounds of all questions of a kind, at both sizes."""
    sides = [one.small for one in found], [one.large for one in found]
    clock = [_p95([ms for times in side for ms in times.clock]) for side in sides]
    cpu = [_p95([ms for times in side for ms in times.cpu]) for side in sides]
    bound = SEARCH_MS if kind == "search" else PAGE_MS
    report.limit(f"{kind}: p95 {clock[0]:.1f} ms, then", clock[1], at_most=bound, unit="ms")
    ratio = cpu[1] / max(cpu[0], _LEAST_CPU)
    report.limit(f"{kind}: ratio of the p95, processor", ratio, at_most=AT_MOST, unit="x")


def _opening(report: Report, found: list[_Asked]) -> None:
    """What the catalog takes until a gallery can show its first pictures."""
    first = [one for one in found if one.question.name in {"progress", "first by path"}]
    took = sum(_p95(one.large.clock) for one in first)
    report.limit("opening the gallery", took, at_most=FIRST_MS, unit="ms")


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[max(int(len(times) * 0.95) - 1, 0)]


def _timed(catalog: Catalog, job: str, question: Question) -> _Times:
    """A connection of its own each time, as a request has; warmed up once."""
    clock, cpu = [], []
    for _ in range(ROUNDS + 1):
        with catalog.read() as connection:
            spent = _processor(connection)
            began, before = time.perf_counter(), spent()
            question.ask(connection, job)
            clock.append((time.perf_counter() - began) * 1000)
            cpu.append((spent() - before) * 1000)
    return _Times(tuple(clock[1:]), tuple(cpu[1:]))


def _processor(connection: Connection) -> Callable[[], float]:
    """Seconds of processor time so far, with those of the server's process where it is here."""
    if connection.dialect.name != "postgresql":
        return time.process_time
    number = connection.scalar(text("SELECT pg_backend_pid()"))
    file = Path(f"/proc/{number}/schedstat")
    if not file.exists():
        return time.process_time
    return lambda: time.process_time() + int(file.read_text().split()[0]) / 1e9


def _job(catalog: Catalog) -> str:
    with catalog.read() as connection:
        return jobs.list_jobs(connection)[0].id


# ---- catalogs -------------------------------------------------------------------------------


@contextmanager
def _sqlite(report: Report, size: int) -> Iterator[Catalog | None]:
    with ExitStack() as stack:
        kept = os.environ.get(_KEEP) or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="bench-catalog-")
        )
        file = Path(kept) / f"{size}.sqlite"
        if not file.exists():
            making = file.with_suffix(".making")  # so that what was broken off is not taken for it
            making.unlink(missing_ok=True)
            _made(report, size, lambda say: fill_sqlite(making, size, say))
            making.rename(file)
        catalog = open_sqlite(file)
        yield catalog
        catalog.close()


@contextmanager
def _postgresql(report: Report, size: int) -> Iterator[Catalog | None]:
    server = postgresql.server()
    if server is None:
        yield None
        return
    with ExitStack() as stack:
        if os.environ.get(_KEEP):
            url = _kept(report, server, size)
        else:
            url = stack.enter_context(postgresql.database(server))
            _made(report, size, lambda say: fill_postgresql(url, size, say))
        catalog = open_postgresql(url)
        yield catalog
        catalog.close()


def _kept(report: Report, server: str, size: int) -> str:
    """The URL of a database that stays; made under another name until it is whole."""
    name, making = f"caseframe_bench_{size}", f"caseframe_bench_{size}_making"
    head, _, query = server.partition("?")
    base, more = head.rpartition("/")[0], f"?{query}" if query else ""
    with psycopg.connect(server, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            connection.execute(f"DROP DATABASE IF EXISTS {making}")
            connection.execute(f"CREATE DATABASE {making} TEMPLATE template0 ENCODING 'UTF8'")
            url = f"{base}/{making}{more}"
            _made(report, size, lambda say: fill_postgresql(url, size, say))
            connection.execute(f"ALTER DATABASE {making} RENAME TO {name}")
    return f"{base}/{name}{more}"


def _made(report: Report, size: int, fill: Callable[[Callable[[str], None]], None]) -> None:
    began = time.monotonic()
    fill(lambda words: report.line("making", words))
    report.line(f"made {size:,} pictures", f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    wanted = [int(word) for word in sys.argv[1:3]]
    bench(Report(sys.stdout), (wanted[0], wanted[1]) if len(wanted) == 2 else SIZES)
