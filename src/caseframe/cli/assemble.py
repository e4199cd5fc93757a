"""Putting the parts together: which catalog, which runner, which settings."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer

from caseframe.catalog import jobs
from caseframe.catalog.database import Catalog, open_postgresql, open_sqlite
from caseframe.catalog.patience import never
from caseframe.cli import folders
from caseframe.cli.options import Hints, case_words
from caseframe.domain.errors import CaseError, NotFound
from caseframe.domain.text import shown_path
from caseframe.logs import configure
from caseframe.pipeline.local import LocalRunner
from caseframe.pipeline.process import LocalOptions
from caseframe.scanner.limits import Limits
from caseframe.settings import Settings, load_settings
from caseframe.stages.stage import StageContext

CATALOG_FILE = "catalog.sqlite"


@dataclass(frozen=True)
class Case:
    """A case folder with its open catalog and the settings in force."""

    folder: Path
    settings: Settings
    catalog: Catalog

    def job(self, source: bytes | None = None) -> jobs.Job:
        """The job over `source`, or the case's newest. Raises NotFound.

        Says which folder that is where the case holds several.
        """
        with self.catalog.read() as connection:
            found = jobs.find_job(connection, source)
        if found is None:
            what = shown_path(source) if source else "anything"
            raise NotFound(
                f"the case {self.folder} holds no scan of {what}; run: caseframe scan SOURCE"
                f"{case_words(self.folder)}"
            )
        if source is None and folders.several(known := self.all_jobs()):
            typer.echo(f"caseframe: {folders.taken(found, known)}", err=True)
        return found

    def all_jobs(self) -> list[jobs.Job]:
        """All jobs, oldest first."""
        with self.catalog.read() as connection:
            return jobs.list_jobs(connection)

    def check_folder(self) -> None:
        """Raise CaseError when the case folder lies in a source of the case."""
        folders.keep_out(self.folder, {job.source for job in self.all_jobs()})

    def hints(self, job: jobs.Job) -> Hints:
        """Commands to go on with after this job."""
        return Hints(self.folder, job.source, one_of_several=folders.several(self.all_jobs()))


def settings_for(**given: object) -> Settings:
    """Read the settings and set up logging by them."""
    settings = load_settings(**given)
    configure(settings.log_level, as_json=settings.log_json)
    return settings


@contextmanager
def open_case(
    folder: Path,
    settings: Settings,
    *,
    create: bool = False,
    stop: Callable[[], bool] = never,
) -> Iterator[Case]:
    """Open the case in `folder`; `stop` says when not to wait for others any longer.

    Raises CaseError when there is none or it cannot be used, Stopped.
    """
    if create and settings.catalog_url is None:
        _make_folder(folder)
    elif settings.catalog_url is None and not (folder / CATALOG_FILE).exists():
        raise CaseError(f'there is no case in the folder "{folder}"; make one with: '
                        f"caseframe scan SOURCE{case_words(folder)}")  # fmt: skip
    seconds = settings.busy_seconds
    if settings.catalog_url is not None:
        catalog = open_postgresql(settings.catalog_url, busy_seconds=seconds, stop=stop)
    else:
        catalog = open_sqlite(folder / CATALOG_FILE, busy_seconds=seconds, stop=stop)
    try:
        opened = Case(folder, settings, catalog)
        if create and not folder.exists():  # the catalog is elsewhere and may know sources here
            opened.check_folder()
            _make_folder(folder)
        yield opened
    finally:
        catalog.close()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CaseError(
            f"the case folder {folder} cannot be made: {error.strerror}; give another with --case"
        ) from error
    if not os.access(folder, os.W_OK):
        raise CaseError(
            f"the case folder {folder} cannot be written; check its permissions or give another "
            "with --case"
        )


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Turn Ctrl-C, or a stop by the system, into a question that work asks at safe places.

    An exception out of nowhere could leave a transaction open that nobody knows of. A second
    Ctrl-C does just that, for those who will not wait.
    """
    asked = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def scanner_limits(settings: Settings) -> Limits:
    """What one file may cost, by the settings."""
    return Limits(
        min_file_bytes=settings.min_file_bytes,
        max_file_bytes=settings.max_file_bytes,
        max_pixels=settings.max_pixels,
        other_hash_bytes=settings.other_hash_bytes,
    )


def local_runner(
    settings: Settings, context: StageContext, stop: Callable[[], bool], together: int = 1
) -> LocalRunner:
    """The process pool of this machine, by the settings; see `LocalOptions.together`."""
    mega = 1_000_000
    return LocalRunner(
        LocalOptions(
            workers=settings.workers,
            picture_seconds=settings.picture_seconds,
            attempts=settings.attempts,
            worker_memory=settings.worker_memory_mb * mega,
            worker_bundles=settings.worker_bundles,
            limits=scanner_limits(settings),
            context=context,
            together=together,
            log_level=settings.log_level,
            log_json=settings.log_json,
        ),
        stop,
    )
