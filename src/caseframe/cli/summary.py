"""What a job came to, counted from the catalog: as JSON, and in words."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from caseframe.catalog import jobs, lookup, work
from caseframe.catalog.database import Catalog
from caseframe.cli.options import Hints
from caseframe.domain.evidence import FileState, path_text
from caseframe.domain.text import counted
from caseframe.domain.work import JobState, TaskState
from caseframe.stages.registry import Registry

if TYPE_CHECKING:  # slow to load, and programs do without
    from rich.console import Console
    from rich.table import Table

Summary = dict[str, Any]
_UNFINISHED = {
    JobState.CREATED: "Not scanned yet. Scan it with: ",
    JobState.QUEUED: "Waits for its turn; where no server is at work, scan it with: ",
    JobState.RUNNING: "At work, or cut off before the end; in that case go on with: ",
    JobState.STOPPED: "Stopped before the end. Go on with: ",
    JobState.FAILED: "Failed before the end. Try again with: ",
}


def summary(catalog: Catalog, job: jobs.Job, registry: Registry) -> Summary:
    """All counts of a job; every number is a query over what is stored."""
    versions = {
        a.stage.name: a.stage.version for a in registry.stages if a.stage.name in job.stages
    }
    with catalog.read() as connection:
        files = work.count_files(connection, job.id)
        stages: Summary = {name: _empty_stage() for name in versions}
        for row in work.count_tasks(connection, job.id, versions):
            kind = row.state.value
            if row.state is TaskState.DONE:
                kind = "found" if row.found else "none_found"
            stages[row.stage][kind] += row.count
        return {
            "job": job.id,
            "name": job.name,
            "source": path_text(job.source),
            "state": job.state.value,
            "reason": job.reason,
            "started_at": _iso(job.started_at),
            "finished_at": _iso(job.finished_at),
            "files": sum(files.values()),
            "states": {state.value: files.get(state, 0) for state in FileState},
            "pictures": work.count_images(connection, job.id),
            "missing": work.count_missing(connection, job.id),
            "types": [
                {"mime": mime, "files": count, "bytes": size}
                for mime, count, size in work.count_types(connection, job.id)
            ],
            "stages": stages,
            "problems": lookup.count_problems(connection, job.id),
        }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _empty_stage() -> dict[str, int]:
    return dict.fromkeys(("found", "none_found", "failed", "unavailable", "pending"), 0)


def unfinished(state: JobState, hints: Hints) -> str | None:
    """Where a job stands that has not come to its end, and how to go on; None for one that has."""
    return f"{_UNFINISHED[state]}{hints.scan}" if state in _UNFINISHED else None


def print_summary(found: Summary, hints: Hints, *, as_json: bool) -> None:
    """Print a summary of a job to standard output, with hints how to go on."""
    if as_json:
        typer.echo(json.dumps(found))
        return
    from rich.console import Console  # noqa: PLC0415 - see above

    console = Console(highlight=False)
    console.print(f"[bold]{_safe(found['name'])}[/]  {_safe(found['source'])}  ({found['state']})")
    if found["reason"]:
        console.print(_safe(found["reason"]))
    left = unfinished(JobState(found["state"]), hints)
    if left is not None:
        console.print(_safe(left), soft_wrap=True)
    if not found["files"]:
        if left is None:
            console.print("The folder holds no files.")
        return
    console.print(_headline(found), soft_wrap=True)
    console.print(_types(found["types"]))
    if found["stages"] and found["pictures"]:
        console.print(_stages(found["stages"]))
    _print_problems(console, found["problems"], hints)


def _safe(text: str) -> str:
    return text.replace("[", r"\[")


def _headline(found: Summary) -> str:
    states = found["states"]
    rest = ", ".join(
        f"{states[state]:,} {state}" for state in states if state != "picture" and states[state]
    )
    line = (
        f"{counted(found['files'], 'file')}: {counted(states['picture'], 'sound picture')}"
        f"{', ' + rest if rest else ''}; "
        f"{counted(found['pictures'], 'different picture')}, sound or not."
    )
    missing = counted(found["missing"], "is missing now", "are missing now")
    return f"{line} {missing}." if found["missing"] else line


def _types(types: list[Summary]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - see above

    table = Table(box=None, pad_edge=False)
    table.add_column("type")
    table.add_column("files", justify="right")
    table.add_column("size", justify="right")
    for row in types[:12]:
        table.add_row(_safe(row["mime"]), f"{row['files']:,}", human_size(row["bytes"]))
    if len(types) > 12:
        table.add_row(
            counted(len(types) - 12, "more type"), f"{sum(t['files'] for t in types[12:]):,}", ""
        )
    return table


def _stages(stages: dict[str, dict[str, int]]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - see above

    table = Table(box=None, pad_edge=False)
    table.add_column("stage")
    for name in ("found", "none found", "failed", "unavailable", "pending"):
        table.add_column(name, justify="right")
    for name, counts in stages.items():
        table.add_row(name, *(f"{count:,}" for count in counts.values()))
    return table


def _print_problems(console: Console, problems: dict[str, int], hints: Hints) -> None:
    if problems:
        listed = ", ".join(f"{count:,} from {stage}" for stage, count in sorted(problems.items()))
        console.print(
            f"Problems: {listed}. List them with: {_safe(hints.problems)}", soft_wrap=True
        )
    else:
        console.print("No problems.")


def human_size(size: int) -> str:
    """Bytes in words, in powers of 1,000."""
    if size == 1:
        return "1 byte"
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{amount:,.0f} {unit}" if unit == "bytes" else f"{amount:,.1f} {unit}"
        amount /= 1000
    return f"{size} bytes"
