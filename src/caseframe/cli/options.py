"""Options that several commands share, written once."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from caseframe.domain.errors import UsageError
from caseframe.domain.text import shown_path

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


@dataclass(frozen=True, slots=True)
class Hints:
    """Commands to go on with after a job, with the options that this case calls for."""

    case: Path
    source: bytes
    one_of_several: bool
    """Whether the case holds other folders too."""

    @property
    def problems(self) -> str:
        """Lists the problems of the job."""
        source = f" --source {self._folder}" if self.one_of_several else ""
        return f"caseframe problems{case_words(self.case)}{source}"

    @property
    def scan(self) -> str:
        """Goes on with the job."""
        return f"caseframe scan {self._folder}{case_words(self.case)}"

    @property
    def _folder(self) -> str:
        return shlex.quote(shown_path(self.source))
