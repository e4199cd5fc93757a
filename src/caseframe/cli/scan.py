"""Commands that work on a source: scan, rerun, verify."""

from __future__ import annotations

import json
import threading
from typing import Annotated

import typer

from caseframe.catalog import jobs, work
from caseframe.catalog.search import FIELDS, conditions
from caseframe.cli.assemble import (
    CATALOG_FILE,
    Case,
    keep_out_of_source,
    open_case,
    settings_for,
    stoppable,
)
from caseframe.cli.captions import registry_for, stage_runner
from caseframe.cli.options import (
    DEFAULT_CASE,
    CaseOption,
    JsonOption,
    SourceOption,
    names,
    optional_source,
    source_bytes,
)
from caseframe.cli.show_progress import shown
from caseframe.cli.summary import print_summary, summary
from caseframe.domain.errors import CaseframeError
from caseframe.domain.evidence import path_fields, path_text
from caseframe.domain.text import counted, shown_path
from caseframe.pipeline.jobs import JobRun
from caseframe.pipeline.progress import Progress
from caseframe.pipeline.verify import Finding, Verification
from caseframe.scanner.walk import check_source
from caseframe.stages.registry import Available

WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Worker processes; all cores by default.")
]
_WHERE_HELP = "Only pictures for which this holds; may be given several times. " + "; ".join(
    f"{field.name}=… ({field.help})" for field in FIELDS
)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(scan)
    app.command()(rerun)
    app.command()(verify)


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
    keep_out_of_source(case, folder)
    # In an old case there may be nothing for the workers to do. They start when there is a case:
    # what comes to nothing in this moment may not end with words of theirs.
    new = not (case / CATALOG_FILE).exists()
    with (
        stoppable() as stop,
        open_case(case, settings, create=True, stop=stop) as opened,
        stage_runner(settings, chosen, stop, at_once=new) as runner,
    ):
        job = _job_for(opened, folder, chosen)
        run = JobRun(opened.catalog, runner, chosen, Progress(), stop)
        job = _run(run, job, walk=True, rehash=rehash, quiet=as_json)
        # Workers take a moment to end, and nobody needs them for what is left.
        threading.Thread(target=runner.close, name="end-workers").start()
        print_summary(summary(opened.catalog, job, registry), case, as_json=as_json)


def _job_for(case: Case, source: bytes, chosen: tuple[Available, ...]) -> jobs.Job:
    name = path_text(source.rstrip(b"/").rpartition(b"/")[2]) or path_text(source)
    names = tuple(available.stage.name for available in chosen)
    with case.catalog.begin() as connection:
        return jobs.find_or_create_job(connection, name, source, names)


def _run(run: JobRun, job: jobs.Job, *, walk: bool, quiet: bool, rehash: bool = False) -> jobs.Job:
    """The job as it ended."""
    with shown(run.progress, quiet=quiet):
        if walk:
            return run.scan(job.id, rehash=rehash, count_first=not quiet)
        return run.resume(job.id)


def rerun(
    stage: Annotated[str, typer.Option("--stage", help="The stage to run again.")],
    where: Annotated[list[str] | None, typer.Option("--where", help=_WHERE_HELP)] = None,
    case: CaseOption = DEFAULT_CASE,
    source: SourceOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run one stage again, on all pictures or on a selection.

    For example, to try failed pictures again: caseframe rerun --stage faces --where task=failed
    """
    settings = settings_for(workers=workers)
    registry = registry_for(settings)
    found = registry.get(stage)
    if found.reason is not None:
        raise CaseframeError(f"the stage {stage} cannot run here: {found.reason}")
    selected = conditions(where or [], stage)
    with stoppable() as stop, open_case(case, settings, stop=stop) as opened:
        job = opened.job(optional_source(source))
        check_source(job.source)
        with opened.catalog.begin() as connection:
            count = work.reset_tasks(connection, job.id, stage, found.stage.version, selected)
        if not as_json:
            typer.echo(f"{counted(count, 'picture')} to look at again")
        chosen = registry.select(sorted({stage, *job.stages} & {*registry.names()}))
        with stage_runner(settings, chosen, stop) as runner:
            run = JobRun(opened.catalog, runner, chosen, Progress(), stop)
            job = _run(run, job, walk=False, quiet=as_json)
        print_summary(summary(opened.catalog, job, registry), case, as_json=as_json)


def verify(
    case: CaseOption = DEFAULT_CASE,
    source: SourceOption = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Leave with status 1 when anything differs.")
    ] = False,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read the source again and report what changed or is missing since the scan.

    Nothing is written, neither to the source nor to the case.
    """
    settings = settings_for(workers=workers)
    with open_case(case, settings) as opened:
        job = opened.job(optional_source(source))
        progress = Progress(phase="verify")
        with stoppable() as stop, stage_runner(settings, (), stop) as runner:
            verification = Verification(opened.catalog, runner, progress)
            with shown(progress, quiet=as_json):
                for finding in verification.run(job):
                    _tell(finding, as_json=as_json)
    counts = {verdict.value: count for verdict, count in verification.counts.items()}
    typer.echo(json.dumps({"counts": counts}) if as_json else _sentence(counts))
    if strict and counts.keys() - {"same"}:
        raise CaseframeError("the source differs from what was scanned")


def _tell(finding: Finding, *, as_json: bool) -> None:
    path, verdict, detail = finding.path, finding.verdict, finding.detail
    if as_json:
        typer.echo(json.dumps(path_fields(path) | {"verdict": verdict, "detail": detail}))
    else:
        typer.echo(f"{verdict:<11} {shown_path(path)}: {detail}")


def _sentence(counts: dict[str, int]) -> str:
    if not counts:
        return "The scan recorded no files, and there are none now."
    return ", ".join(f"{count:,} {verdict}" for verdict, count in sorted(counts.items())) + "."
