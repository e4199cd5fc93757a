"""Options that several commands share, written once."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from caseframe.domain.errors import UsageError

CaseOption = Annotated[
    Path,
    typer.Option("--case", help="The case folder.", envvar="CASEFRAME_CASE", show_default=True),
]
DEFAULT_CASE = Path("case")
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
SourceOption = Annotated[
    str | None,
    typer.Option("--source", help="The scanned folder, where the case holds several."),
]

WorkersOption = Annotated[
    int | None, typer.Option("--workers", min=1, help="Worker processes; all cores by default.")
]


def source_bytes(source: str) -> bytes:
    """The absolute path of a source as bytes, exactly as the system has it, links in it kept."""
    return os.path.abspath(os.fsencode(source))


def optional_source(source: str | None) -> bytes | None:
    """`source_bytes`, or None where no source was given."""
    return None if source is None else source_bytes(source)


def names(text: str | None) -> list[str] | None:
    """`a,b` as a list; None stays None. Raises UsageError for an empty list."""
    if text is None:
        return None
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found:
        raise UsageError("--stages takes names separated by commas; see: caseframe stages")
    return found


def case_words(case: Path) -> str:
    """` --case FOLDER` for a hint that names another command; nothing for the usual folder."""
    return "" if case == DEFAULT_CASE else f" --case {shlex.quote(str(case))}"
