"""The folders of a case: which one a command means, and that nothing is written into any."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from caseframe.catalog.jobs import Job
from caseframe.domain.errors import CaseError
from caseframe.domain.text import counted, meant_path, shown_path


def several(found: Iterable[Job]) -> bool:
    """Whether these jobs look at more than one folder."""
    return len({job.source for job in found}) > 1


def taken(job: Job, found: Iterable[Job]) -> str:
    """What to say where one folder was taken of several."""
    count = counted(len({job.source for job in found}), "folder")
    return f"looking at {shown_path(job.source)}, one of {count}; another with --source"


def folder_of(found: Sequence[Job], what: str) -> bytes | None:
    """The innermost folder of these jobs that an absolute path lies in, None for other words.

    Folders that were never scanned count only where there is no other.
    """
    if not os.path.isabs(what):
        return None
    paths = [os.path.abspath(path) for path in (os.fsencode(what), meant_path(what))]
    holding = [j for j in found if any(_lies_in(path, j.source) for path in paths)]
    best = max(holding, key=lambda j: (j.started_at is not None, len(j.source)), default=None)
    return None if best is None else best.source


def keep_out(place: Path, sources: Iterable[bytes]) -> None:
    """Raise CaseError when what we write would lie in a source: evidence is never touched."""
    inside = os.fsencode(place.resolve())
    for source in sources:
        if _lies_in(inside, os.path.realpath(source)):
            raise CaseError(
                f"{place} lies inside the source {shown_path(source)}, which is never written to; "
                "give a place elsewhere"
            )


def _lies_in(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
