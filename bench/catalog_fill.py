"""Putting a catalog of made-up pictures together in bulk.

Rows come from a process beside this one. Indexes, triggers and counts come when all rows are in,
as they were made from the same rows one by one.
"""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import text

from bench.catalog_rows import COLUMNS, FAILS_EVERY, STAGES, Rows, rows
from caseframe.catalog import gallery, jobs, triggers
from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite

_CHUNK = 10_000
_EVERY = 15.0  # seconds between two lines about progress
_TASKS = " UNION ALL ".join(
    f"SELECT id, '{stage}', '1', CASE WHEN {fails} THEN 'failed' ELSE 'done' END,"
    f" CASE WHEN {fails} THEN NULL ELSE true END, 1 FROM images"
    for stage in STAGES
    for fails in [f"id % {FAILS_EVERY} = 0" if stage == "faces" else "false"]
)
_ADD_TASKS = f"INSERT INTO tasks (image_id, stage, version, state, found, attempts) {_TASKS}"
_THUMBNAIL = (
    "INSERT INTO thumbnails (image_id, mime, width, height, data)"
    " VALUES (1, 'image/jpeg', 1, 1, '\\x00')"
)
Say = Callable[[str], None]


def fill_sqlite(file: Path, count: int, say: Say) -> None:
    """A new catalog in `file` with one job of `count` pictures."""
    catalog = open_sqlite(file)
    job, number = _job(catalog, count)
    catalog.close()
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
        connection.execute(f"PRAGMA {pragma}")
    made_later = connection.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT LIKE"
        " 'document_words%' AND type IN ('index', 'trigger')"
    ).fetchall()
    for kind, name, _ in made_later:
        connection.execute(f"DROP {kind} {name}")
    connection.execute("BEGIN")
    for found in _made(job, number, count, say):
        for table, lines in found.items():
            columns = COLUMNS[table]
            marks = ", ".join("?" * len(columns))
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
            connection.executemany(statement, lines)
    connection.execute(_ADD_TASKS)
    connection.execute(_THUMBNAIL)
    connection.execute("COMMIT")
    said = [sql for kind in ("index", "trigger") for k, _, sql in made_later if k == kind]
    said.insert(0, "INSERT INTO document_words (document_words) VALUES ('rebuild')")
    _one_by_one(said, connection.execute, say)
    connection.close()
    catalog = open_sqlite(file)
    _finish(catalog, say)
    catalog.close()


def fill_postgresql(url: str, count: int, say: Say) -> None:
    """The same in an empty database; its user must be allowed to leave triggers out."""
    catalog = open_postgresql(url)
    job, number = _job(catalog, count)
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in (
            "session_replication_role = replica", "synchronous_commit = off",
            "maintenance_work_mem = '1GB'", "max_parallel_maintenance_workers = 1",
        ):  # fmt: skip
            connection.execute(f"SET {setting}")
        made_later = connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE NOT indisunique AND indrelid IN"
            " (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
        ).fetchall()
        for name, _ in made_later:
            connection.execute(f"DROP INDEX {name}")
        for found in _made(job, number, count, say):
            for table, lines in found.items():
                _copy(connection, table, lines)
        connection.execute(_ADD_TASKS)
        connection.execute(_THUMBNAIL)
        for table in ("images", "files"):  # it goes on numbering behind what it did not number
            query = f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"
            connection.execute(query)
        _one_by_one([sql for _, sql in made_later], connection.execute, say)
    _finish(catalog, say)
    catalog.close()


def _job(catalog: Catalog, count: int) -> tuple[str, int]:
    with catalog.begin() as connection:
        job = jobs.create_job(connection, f"{count:,} pictures", b"/source", STAGES).id
        return job, gallery.gallery_of(connection, job)


def _made(job: str, number: int, count: int, say: Say) -> Iterator[Rows]:
    """All rows, in chunks that a process beside this one makes."""
    began = said = time.monotonic()
    parts = [range(at, min(at + _CHUNK, count + 1)) for at in range(1, count + 1, _CHUNK)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for done, found in enumerate(_ahead(pool, [(job, number, part) for part in parts])):
            yield found
            if time.monotonic() - said > _EVERY:
                said = time.monotonic()
                say(f"{(done + 1) * _CHUNK:,} of {count:,} pictures after {said - began:.0f} s")


def _ahead(pool: Any, asked: list[tuple[str, int, range]]) -> Iterator[Rows]:
    """The chunks in order, a few of them ahead: memory does not grow with their number."""
    waiting = [pool.apply_async(rows, one) for one in asked[:4]]
    for at in range(len(asked)):
        found: Rows = waiting.pop(0).get()
        if at + 4 < len(asked):
            waiting.append(pool.apply_async(rows, asked[at + 4]))
        yield found


def _copy(connection: psycopg.Connection[Any], table: str, lines: list[tuple[Any, ...]]) -> None:
    columns = ", ".join(COLUMNS[table])
    with connection.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        copy.write("".join(map(_line, lines)))


def _line(row: Iterable[Any]) -> str:
    """A row as COPY reads it; none of the values holds a tab, a new line or a backslash."""
    return "\t".join([
        "\\N" if value is None else "\\\\x" + value.hex() if type(value) is bytes else str(value)
        for value in row
    ]) + "\n"  # fmt: skip


def _one_by_one(statements: Iterable[str], execute: Callable[[Any], object], say: Say) -> None:
    for statement in statements:
        began = time.monotonic()
        execute(statement)
        if (seconds := time.monotonic() - began) > _EVERY:
            say(f"{statement.partition(' USING ')[0][:50]}: {seconds:.0f} s")


def _finish(catalog: Catalog, say: Say) -> None:
    """Count; and gather statistics, which PostgreSQL does by itself and SQLite never does."""
    began = time.monotonic()
    with catalog.begin() as connection:
        triggers.recount(connection)
    if catalog.dialect == "postgresql":
        with catalog.read() as connection:
            alone = connection.execution_options(isolation_level="AUTOCOMMIT")
            alone.execute(text("VACUUM ANALYZE"))
    say(f"counted in {time.monotonic() - began:.0f} s")
