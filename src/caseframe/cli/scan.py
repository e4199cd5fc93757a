"""caseframe scan: a folder of pictures becomes a case, or a case learns what is new in it."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from caseframe.catalog import jobs
from caseframe.cli import folders
from caseframe.cli.assemble import (
    CATALOG_FILE,
    Case,
    open_case,
    settings_for,
    stoppable,
)
from caseframe.cli.captions import registry_for, stage_runner
from caseframe.cli.options import (
    DEFAULT_CASE,
    CaseOption,
    JsonOption,
    WorkersOption,
    names,
    source_bytes,
)
from caseframe.cli.show_progress import shown
from caseframe.cli.summary import print_summary, summary
from caseframe.domain.evidence import path_text
from caseframe.pipeline.jobs import JobRun
from caseframe.pipeline.progress import Progress
from caseframe.scanner.walk import check_source
from caseframe.stages.registry import Available


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command()(scan)


def scan(
    source: Annotated[str, typer.Argument(help="The folder of pictures; it is only read.")],
    case: CaseOption = DEFAULT_CASE,
    stages: Annotated[
        str | None,
        typer.Option("--stages", help="Stages to run, as a,b; all by default (caseframe stages)."),
    ] = None,
    rehash: Annotated[
        bool, typer.Option("--rehash", help="Read every file, also those with unchanged time.")
    ] = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Scan a folder into a case: every file hashed, typed, and looked at by every stage.

    Run it again to pick up new and changed files, or to go on after a stop. Problems with single
    files are counted and listed (caseframe problems); they do not make the scan fail.
    """
    settings = settings_for(workers=workers)
    folder = source_bytes(source)
    check_source(folder)
    registry = registry_for(settings)
    chosen = registry.select(names(stages))
    folders.keep_out(case, [folder])
    # In an old case there may be nothing for the workers to do. They start when there is a case:
    # what comes to nothing in this moment may not end with words of theirs.
    new = not (case / CATALOG_FILE).exists()
    with (
        stoppable() as stop,
        open_case(case, settings, create=True, stop=stop) as opened,
        stage_runner(settings, chosen, stop, at_once=new) as runner,
    ):
        opened.check_folder()
        job = _job_for(opened, folder, chosen)
        run = JobRun(opened.catalog, runner, chosen, Progress(), stop)
        job = run_shown(run, job, walk=True, rehash=rehash, quiet=as_json)
        # Workers take a moment to end, and nobody needs them for what is left.
        threading.Thread(target=runner.close, name="end-workers").start()
        counts = summary(opened.catalog, job, registry)
        print_summary(counts, opened.hints(job), as_json=as_json)


def _job_for(case: Case, source: bytes, chosen: tuple[Available, ...]) -> jobs.Job:
    name = path_text(source.rstrip(b"/").rpartition(b"/")[2]) or path_text(source)
    names = tuple(available.stage.name for available in chosen)
    with case.catalog.begin() as connection:
        return jobs.find_or_create_job(connection, name, source, names)


def run_shown(
    run: JobRun, job: jobs.Job, *, walk: bool, quiet: bool, rehash: bool = False
) -> jobs.Job:
    """Run a job, whether its source is walked or only what is due done, and show how far it is.

    The job as it ended.
    """
    with shown(run.progress, quiet=quiet):
        if walk:
            return run.scan(job.id, rehash=rehash, count_first=not quiet)
        return run.resume(job.id)
