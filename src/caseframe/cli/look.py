"""Commands that look into a case: status, problems, show, duplicates, export."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import Connection

from caseframe.catalog import jobs, lookup, records
from caseframe.cli import folders
from caseframe.cli.assemble import Case, open_case, settings_for
from caseframe.cli.captions import registry_for
from caseframe.cli.card import Card, print_card
from caseframe.cli.export import csv_lines, json_lines, path_of
from caseframe.cli.options import (
    DEFAULT_CASE,
    CaseOption,
    JsonOption,
    SourceOption,
    optional_source,
)
from caseframe.cli.summary import print_summary, summary
from caseframe.domain.errors import CaseError, NotFound, UsageError
from caseframe.domain.evidence import SCAN, path_fields, path_text
from caseframe.domain.text import meant_path, shown_path
from caseframe.pipeline import twins
from caseframe.settings import Settings


class Format(StrEnum):
    """Forms of the export."""

    JSONL = "jsonl"
    CSV = "csv"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (status, problems, show, duplicates, export):
        app.command()(command)


def status(case: CaseOption = DEFAULT_CASE, as_json: JsonOption = False) -> None:
    """Show what the case holds: files by state and type, each stage's results, problems."""
    settings = settings_for()
    registry = registry_for(settings, announce=False)
    with open_case(case, settings) as opened:
        found = opened.all_jobs()
        if not found:
            opened.job()
        for job in found:
            counts = summary(opened.catalog, job, registry)
            print_summary(counts, opened.hints(job), as_json=as_json)


def problems(
    case: CaseOption = DEFAULT_CASE,
    source: SourceOption = None,
    stage: Annotated[
        str | None,
        typer.Option("--stage", help="Only those of one stage; `scan` for the scanning itself."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List every file that is corrupt, unreadable or suspect, and every stage that failed."""
    settings = settings_for()
    with open_case(case, settings) as opened:
        job = opened.job(optional_source(source))
        count = 0
        with opened.catalog.read() as connection:
            if stage is not None:
                _check_stage(connection, job, settings, stage)
            for problem in lookup.list_problems(connection, job.id, stage):
                count += 1
                _tell(problem, as_json=as_json)
        if not count and not as_json:
            typer.echo("No problems.")


def _tell(problem: lookup.Problem, *, as_json: bool) -> None:
    if as_json:
        line = {"stage": problem.stage, "reason": problem.reason}
        typer.echo(json.dumps(path_fields(problem.path) | line))
    else:
        typer.echo(f"{problem.stage:<8} {shown_path(problem.path)}: {problem.reason}")


def _check_stage(connection: Connection, job: jobs.Job, settings: Settings, stage: str) -> None:
    """Raise UsageError for a name that can have no problems: neither here nor left in the case."""
    here = registry_for(settings, announce=False).names()
    left = (*job.stages, *lookup.count_problems(connection, job.id))
    if stage not in (known := dict.fromkeys((SCAN, *here, *left))):
        raise UsageError(f"no stage is called {stage}; there are: {', '.join(known)}")


def show(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATH|SHA256",
            help="A file of the source, as it is called or as it is listed, or a digest.",
        ),
    ],
    case: CaseOption = DEFAULT_CASE,
    source: SourceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show all that is known of one picture: camera, time, place, faces, digests, twins."""
    with open_case(case, settings_for()) as opened:
        job = opened.job(optional_source(source) or folders.folder_of(opened.all_jobs(), what))
        with opened.catalog.read() as connection:
            ids = _find(connection, job, what)
            found = records.records_of(connection, ids)
            if as_json:
                for record in found:
                    typer.echo(json.dumps(record))
            else:
                print_card(_card(connection, job, found[0], ids[0]))


def _find(connection: Connection, job: jobs.Job, what: str) -> list[int]:
    """Ids of the files meant by a path (absolute, or below the source) or a hexadecimal digest."""
    if len(what) in {32, 40, 64}:
        try:
            digest = bytes.fromhex(what)
        except ValueError:
            digest = b""
        if digest and (found := lookup.find_by_digest(connection, job.id, digest)):
            return found
    exact = os.fsencode(what)
    below = os.path.relpath(os.path.abspath(exact), job.source)
    meant = meant_path(what)
    for path in (exact, below, meant, os.path.relpath(os.path.abspath(meant), job.source)):
        number = lookup.find_by_path(connection, job.id, path)
        if number is not None:
            return [number]
    raise NotFound(
        f"nothing in the case answers to {what}; give a path below {shown_path(job.source)}, "
        "or a whole SHA-256"
    )


def _card(connection: Connection, job: jobs.Job, record: records.Record, file_id: int) -> Card:
    image = lookup.image_of(connection, file_id)
    same: list[bytes] = []
    near: list[tuple[int, bytes]] = []
    facts: str | None = None
    caption: str | None = None
    if image is not None:
        facts = lookup.text_of(connection, image, "facts", "facts")
        caption = lookup.text_of(connection, image, "caption", "caption")
        same = [o.path for o in lookup.occurrences(connection, [image], job.id)]
    if image is not None and record["pdq"]:
        near = _near(connection, job, image, bytes.fromhex(record["pdq"]))
    own = path_of(record)
    return Card(record, [path for path in same if path != own], near, facts, caption)


def _near(
    connection: Connection, job: jobs.Job, image: int, bits: bytes
) -> list[tuple[int, bytes]]:
    """(distance, path) of the job's pictures that look like this one, nearest first."""
    rows = list(lookup.hashes(connection, job.id, twins.LEAST_QUALITY, present=True))
    if not rows:
        return []
    distance = twins.distances(twins.pack([b for _, b in rows]), bits)
    near = {
        number: int(away)
        for (number, _), away in zip(rows, distance, strict=True)
        if away <= twins.NEAR and number != image
    }
    return sorted(
        (near[o.image_id], o.path) for o in lookup.occurrences(connection, list(near), job.id)
    )


def duplicates(
    distance: Annotated[
        int,
        typer.Option("--distance", min=0, max=twins.MOST,
                     help="Bits of 256 in which two pictures may differ; 0 finds equal hashes."),
    ] = twins.NEAR,
    case: CaseOption = DEFAULT_CASE,
    source: SourceOption = None,
    as_json: JsonOption = False,
) -> None:  # fmt: skip
    """List pictures that are there more than once: the same bytes, and those that look alike."""
    with open_case(case, settings_for()) as opened:
        job = opened.job(optional_source(source))
        count = 0
        for kind, paths in _duplicate_groups(opened, job, distance):
            count += 1
            if as_json:
                line = {"kind": kind, "paths": [*map(path_text, paths)]}
                typer.echo(json.dumps(line | {"files": [*map(path_fields, paths)]}))
            else:
                typer.echo(f"{kind}:")
                for path in paths:
                    typer.echo(f"  {shown_path(path)}")
        if not count and not as_json:
            typer.echo("No duplicates.")


def _duplicate_groups(
    case: Case, job: jobs.Job, distance: int
) -> Iterator[tuple[str, list[bytes]]]:
    with case.catalog.read() as connection:
        for number in lookup.exact_duplicates(connection, job.id):
            same = lookup.occurrences(connection, [number], job.id)
            yield "exact", [o.path for o in same]
        rows = list(lookup.hashes(connection, job.id, twins.LEAST_QUALITY, present=True))
        if not rows:
            return
        for members in twins.groups(twins.pack([bits for _, bits in rows]), distance):
            alike = lookup.occurrences(connection, [rows[m][0] for m in members], job.id)
            yield "near", [o.path for o in alike]


def export(
    form: Annotated[Format, typer.Option("--format", help="jsonl or csv.")] = Format.JSONL,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output by default.")
    ] = None,
    case: CaseOption = DEFAULT_CASE,
    source: SourceOption = None,
) -> None:
    """Write one line for each file with everything that is known of it (docs/export.md)."""
    with open_case(case, settings_for()) as opened:
        job = opened.job(optional_source(source))
        with opened.catalog.read() as connection:
            found = records.records(connection, job.id)
            lines = json_lines(found) if form is Format.JSONL else csv_lines(found)
            if output is not None:
                _check_output(opened, output)
            if output is None:
                sys.stdout.writelines(lines)
            else:
                _write(output, lines)


def _check_output(case: Case, output: Path) -> None:
    """Raise CaseError when the export would lie in any folder of the case."""
    sources = {job.source for job in case.all_jobs()}
    folders.keep_out(output, sources)
    folders.keep_out(output.parent, sources)  # a link out of it would be replaced where it stands


def _write(output: Path, lines: Iterator[str]) -> None:
    """Write an export: to a file all or nothing, to a device or a pipe as it comes."""
    try:
        if output.is_dir():
            example = output / "export.jsonl"
            raise CaseError(f"{output} is a folder; name a file in it, such as {example}")
        kept = _kept(output)
        if kept is None:
            _replace(output, lines)
        else:
            with open(kept, "w", encoding="utf-8", newline="") as file:
                file.writelines(lines)
    except OSError as error:
        raise CaseError(f"the export cannot be written to {output}: {error.strerror}") from error


def _kept(output: Path) -> Path | int | None:
    """What to open where no new file may take that place; None where one may.

    It is a device or a pipe, or what our own output goes to: /dev/stdout is a link to that.
    """
    if not output.exists():
        return None
    status = output.stat()
    for number in (1, 2):
        with suppress(OSError):  # it may be closed
            if os.path.samestat(status, os.fstat(number)):
                return os.dup(number)
    return None if stat.S_ISREG(status.st_mode) else output


def _replace(output: Path, lines: Iterator[str]) -> None:
    """All or nothing: a file of that name is never left half written. Raises OSError."""
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines)
        part.replace(output)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
