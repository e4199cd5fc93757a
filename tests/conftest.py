"""Fixtures that several kinds of test share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.support import postgresql
from tests.support.cli import Ran, run

from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.process import LocalOptions

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
Cli = Callable[..., Ran]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of a run, so that models are converted once a process."""
    return tmp_path_factory.getbasetemp().parent / "caseframe-cache"


@pytest.fixture
def cli(cache: Path) -> Cli:
    """Run a caseframe command: `cli("scan", folder, …)`."""
    return partial(run, cache=cache)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a PostgreSQL server. Without one the test is skipped; in CI that is a failure."""
    if (url := postgresql.server()) is not None:
        yield url
        return
    with postgresql.private_server() as private:
        if private is None:
            reason = "no PostgreSQL runs here and none is installed; set CASEFRAME_TEST_POSTGRESQL"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        yield private.url


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog, once in each database."""
    if request.param == "sqlite":
        opened = open_sqlite(tmp_path / "catalog.sqlite")
        yield opened
        opened.close()
        return
    with postgresql.database(request.getfixturevalue("postgresql_server")) as url:
        opened = open_postgresql(url)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def runner(cache: Path) -> Iterator[LocalRunner]:
    """One pool of real worker processes for all tests of this process."""
    made = LocalRunner(LocalOptions(workers=2, cache=cache, worker_memory=1_500_000_000))
    yield made
    made.close()
