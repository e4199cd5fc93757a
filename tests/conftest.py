"""Fixtures that several kinds of test share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support import postgresql, rabbitmq
from tests.support import redis_server as redis_support
from tests.support.catalogs import empty_catalog
from tests.support.cli import Ran, run

from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.process import LocalOptions
from caseframe.stages.stage import StageContext

if TYPE_CHECKING:  # the fixtures of the web import it themselves: most tests do without
    from playwright.sync_api import Browser, Page
    from tests.support.hub import Hub
    from tests.support.web import FreshWeb, WebServer

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in its background so; all that tests start would ignore Ctrl-C too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
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


@pytest.fixture(scope="session")
def rabbitmq_server() -> Iterator[str]:
    """URL of a RabbitMQ virtual host of this process. Without one the test is skipped; in CI that
    is a failure."""
    with rabbitmq.for_tests() as url:
        yield url


@pytest.fixture(scope="session")
def _redis() -> Iterator[str]:
    with redis_support.for_tests() as url:
        yield url


@pytest.fixture
def redis_server(_redis: str) -> str:
    """URL of an empty Redis. Without one the test is skipped; in CI that is a failure."""
    return redis_support.emptied(_redis)


@pytest.fixture(scope="session")
def made_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite catalog to copy."""
    file = tmp_path_factory.mktemp("made") / "catalog.sqlite"
    open_sqlite(file).close()
    return file


@pytest.fixture(scope="session")
def made_postgresql(postgresql_server: str) -> Iterator[str]:
    """URL of a PostgreSQL catalog to copy."""
    with postgresql.database(postgresql_server) as url:
        open_postgresql(url).close()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    """An empty catalog, once in each database."""
    with empty_catalog(request, request.param, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def runner(cache: Path) -> Iterator[LocalRunner]:
    """One pool of real worker processes for all tests of this process."""
    made = LocalRunner(
        LocalOptions(workers=2, context=StageContext(cache), worker_memory=1_500_000_000)
    )
    yield made
    made.close()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a captioning model that is small enough to be made anywhere; do not change it.

    Without the extra `describe` the test is skipped; in CI that is a failure.
    """
    from tests.support.models import tiny_blip  # noqa: PLC0415

    return tiny_blip(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def tiny_hub(tiny: Path) -> Iterator[Hub]:
    """A hub of models on this machine that serves the tiny one."""
    from tests.support.hub import hub  # noqa: PLC0415

    with hub() as running:
        running.serve(tiny)
        yield running


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of pictures that the web servers of the tests have as their sources."""
    from tests.support.web import make_pictures  # noqa: PLC0415

    return make_pictures(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def web(
    tmp_path_factory: pytest.TempPathFactory, pictures: Path, cache: Path
) -> Iterator[WebServer]:
    """One running server for all tests of this process: make people and jobs of your own.

    With CASEFRAME_TEST_SYSTEM=services all parts run as services.
    """
    from tests.support.services import chosen, services_web  # noqa: PLC0415
    from tests.support.web import web_server, without_end  # noqa: PLC0415

    if chosen():
        with services_web(pictures, cache) as services:
            yield services
        return
    case = tmp_path_factory.mktemp("web") / "case"
    made = web_server(case, pictures, cache, access_token_minutes=1440)
    with without_end(made) as server:
        yield server


@pytest.fixture(scope="session")
def scanned(web: WebServer) -> str:
    """The id of a job over all pictures that is done; it belongs to the administrator."""
    return web.job(web.administrator, name="Everything", run=True)


@pytest.fixture
def fresh_web(tmp_path: Path, pictures: Path, cache: Path) -> Iterator[FreshWeb]:
    """Start a server of one's own with settings: `fresh_web(sign_up="open")`."""
    from tests.support.services import chosen  # noqa: PLC0415
    from tests.support.web import web_server  # noqa: PLC0415

    if chosen():
        pytest.skip("wants settings of its own, so it runs against the embedded system only")

    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(
            web_server(tmp_path / "case", pictures, cache, **given)
        )


@pytest.fixture
def signed_in(web: WebServer) -> Callable[..., httpx.Client]:
    """`signed_in("viewer")`: a client of somebody new with that role."""
    return lambda role="examiner": web.client(web.account(role))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Without one the test is skipped; in CI that is a failure.

    Not for the whole session: while it is open an event loop runs in this thread, and tests of
    other modules start their own.
    """
    from playwright.sync_api import expect  # noqa: PLC0415
    from tests.support.web import chromium  # noqa: PLC0415

    with chromium() as found:
        if found is None:
            reason = "no Chromium is installed; the tests in a browser need one"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        expect.set_options(timeout=30_000)  # a busy machine is no reason to fail
        yield found


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that nobody used before. `web.let_in(page.context, person)` signs in."""
    with browser.new_context(locale="en-GB") as context:
        made = context.new_page()
        made.set_default_timeout(30_000)
        yield made
