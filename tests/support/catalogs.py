"""Empty catalogs for tests: copies of one that was made once, in a tenth of the time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import postgresql

from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite


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
