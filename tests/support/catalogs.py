"""Empty catalogs for tests (copies of one that was made once, in a tenth of the time), and what
stands in one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select
from tests.support import postgresql

from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite
from caseframe.catalog.triggers import CHANGES

_VOLATILE = {"id", "image_id", "file_id", "added_at", "examined_at", "finished_at"}


@contextmanager
def empty_catalog(request: pytest.FixtureRequest, database: str, folder: Path) -> Iterator[Catalog]:
    """An empty catalog in a `database` of its own, "sqlite" (in `folder`) or "postgresql"."""
    if database == "sqlite":
        file = folder / "catalog.sqlite"
        shutil.copyfile(request.getfixturevalue("made_sqlite"), file)
        opened = open_sqlite(file)
        yield opened
        opened.close()
        return
    server: str = request.getfixturevalue("postgresql_server")
    made: str = request.getfixturevalue("made_postgresql")
    with postgresql.database(server, like=made) as url:
        opened = open_postgresql(url)
        yield opened
        opened.close()


def rows(catalog: Catalog, table: Table) -> list[dict[str, Any]]:
    """What a table holds, without numbers and times that differ from run to run, sorted."""
    with catalog.read() as connection:
        found = [dict(row) for row in connection.execute(select(table)).mappings()]
    found = [row for row in found if row.get("topic") != CHANGES]  # it counts what is written
    kept = [{k: v for k, v in row.items() if k not in _VOLATILE} for row in found]
    return sorted(kept, key=repr)
