"""Commands that go over what was scanned before: rerun, verify."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from caseframe.catalog import work
from caseframe.catalog.search import FIELDS, conditions
from caseframe.cli.assemble import open_case, settings_for, stoppable
from caseframe.cli.captions import registry_for, stage_runner
from caseframe.cli.options import (
    DEFAULT_CASE,
    CaseOption,
    JsonOption,
    SourceOption,
    WorkersOption,
    optional_source,
)
from caseframe.cli.scan import run_shown
from caseframe.cli.show_progress import shown
from caseframe.cli.summary import print_summary, summary, unfinished
from caseframe.domain.errors import CaseframeError
from caseframe.domain.evidence import path_fields
from caseframe.domain.text import counted, shown_path
from caseframe.pipeline.jobs import JobRun
from caseframe.pipeline.progress import Progress
from caseframe.pipeline.verify import Finding, Verdict, Verification
from caseframe.scanner.walk import check_source

_WHERE_HELP = "Only pictures for which this holds; may be given several times. " + "; ".join(
    f"{field.name}=… ({field.help})" for field in FIELDS
)
_ALIKE = {Verdict.SAME, Verdict.NOT_HASHED}


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(rerun)
    app.command()(verify)


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
        count = work.reset_in_steps(
            opened.catalog, job.id, stage, found.stage.version, selected, stop=stop
        )
        if not as_json:
            typer.echo(f"{counted(count, 'picture')} to look at again")
        chosen = registry.select(sorted({stage, *job.stages} & {*registry.names()}))
        with stage_runner(settings, chosen, stop) as runner:
            run = JobRun(opened.catalog, runner, chosen, Progress(), stop)
            job = run_shown(run, job, walk=False, quiet=as_json)
        counts = summary(opened.catalog, job, registry)
        print_summary(counts, opened.hints(job), as_json=as_json)


def verify(
    case: CaseOption = DEFAULT_CASE,
    source: SourceOption = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Leave with status 1 when anything differs; a file that was too large to hash "
            "does not while its size and time are the same.",
        ),
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
        left = unfinished(job.state, opened.hints(job))
        if left is not None and not as_json:
            typer.echo(f"{shown_path(job.source)}: {left}")
        progress = Progress(phase="verify")
        with stoppable() as stop, stage_runner(settings, (), stop) as runner:
            verification = Verification(opened.catalog, runner, progress)
            with shown(progress, quiet=as_json):
                for finding in verification.run(job):
                    _tell(finding, as_json=as_json)
    counts = {verdict.value: count for verdict, count in verification.counts.items()}
    typer.echo(json.dumps({"counts": counts}) if as_json else _sentence(counts))
    if strict and verification.counts.keys() - _ALIKE:
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
