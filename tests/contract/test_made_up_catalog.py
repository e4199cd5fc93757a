"""The catalog that the benchmark makes up is one that a scan could have written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bench.catalog_fill import fill_postgresql, fill_sqlite
from bench.catalog_questions import questions
from sqlalchemy import Connection, select
from tests.support import postgresql

from caseframe.catalog import jobs, tiling
from caseframe.catalog.database import open_postgresql, open_sqlite
from caseframe.catalog.gallery_tables import cells, documents, tallies, tiles

COUNT = 900


def _said(connection: Connection) -> list[set[tuple[Any, ...]]]:
    return [
        {tuple(row) for row in connection.execute(select(table)) if row[-1] != 0}
        for table in (tiles, documents, tallies, cells)
    ]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_is_what_the_program_makes_of_its_rows(tmp_path: Path, database: str) -> None:
    said: list[str] = []
    if database == "sqlite":
        fill_sqlite(tmp_path / "c.sqlite", COUNT, said.append)
        _check(open_sqlite(tmp_path / "c.sqlite"))
        return
    server = postgresql.server()
    if server is None:
        pytest.skip("no PostgreSQL runs here")
    with postgresql.database(server) as url:
        fill_postgresql(url, COUNT, said.append)
        _check(open_postgresql(url))


def _check(catalog: Any) -> None:
    with catalog.begin() as connection:
        made = _said(connection)
        assert [len(rows) for rows in made[:2]] == [COUNT, COUNT]
        tiling.rebuild(connection)
        assert _said(connection) == made
        job = jobs.list_jobs(connection)[0].id
        for question in questions():
            question.ask(connection, job)
    catalog.close()
