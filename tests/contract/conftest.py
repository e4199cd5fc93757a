"""Where the suites of a seam get its implementations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.catalogs import empty_catalog
from tests.support.people import Town, Towns

from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog


@pytest.fixture(params=["sqlite", "postgresql", "redis", "service", "service-redis-postgresql"])
def towns(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Towns]:
    """`towns(policy=…)` makes a town of that place; towns of one test share their catalog."""
    place: str = request.param
    with ExitStack() as stack:
        database = "postgresql" if "postgresql" in place else "sqlite"
        catalog = stack.enter_context(empty_catalog(request, database, tmp_path))
        redis_url = request.getfixturevalue("redis_server") if "redis" in place else None

        def make(**options: object) -> Town:
            town = Town(catalog, redis_url, **options)
            stack.callback(town.close)
            if "service" in place:
                town.serve(request.getfixturevalue("rabbitmq_server"))
            return town

        yield make


@pytest.fixture
def town(towns: Towns) -> Town:
    return towns()


@pytest.fixture
def job(catalog: Catalog) -> str:
    """The id of a job over `/source` in the empty catalog."""
    with catalog.begin() as connection:
        return jobs.create_job(connection, "a job", b"/source", ("exif",)).id
