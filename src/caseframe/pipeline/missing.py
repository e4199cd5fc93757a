"""Which of the names that a job knows are there: what a walk alone does not tell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum

from caseframe.catalog.evidence import KnownFile
from caseframe.domain.evidence import FOLDER
from caseframe.scanner.reading import Standing, standing_beneath


class Fate(Enum):
    """What became of a name: there, gone, a folder that can be read by now, or nobody knows."""

    THERE = "there"
    GONE = "gone"
    OPENED = "opened"
    UNKNOWN = "unknown"


def fate(root: int, file: KnownFile, unread: Collection[bytes]) -> Fate:
    """Look for a name below the open folder `root`; `unread` could not be read by the walk.

    The walk yields a folder only where it could not be read. So one that stands where a file was
    makes it missing; and of a folder that can be read by now nothing is left to say.
    """
    there = Standing.NAME if file.path in unread else standing_beneath(root, file.path)
    if there is Standing.FOLDER and file.mime == FOLDER and file.sha256 is None:
        return Fate.OPENED
    if there is Standing.UNKNOWN:
        return Fate.UNKNOWN
    return Fate.THERE if there is Standing.NAME else Fate.GONE


@dataclass(slots=True)
class Compared:
    """Ids of files that are gone now, that are back, and of folders that can be read by now."""

    gone: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)


def compare(root: int, files: Sequence[KnownFile], unread: Collection[bytes]) -> Compared:
    """What changed of these names since the catalog was told, as far as it is known."""
    found = Compared()
    for file in files:
        now = fate(root, file, unread)
        if now is Fate.OPENED:
            found.opened.append(file.id)
        elif now is not Fate.UNKNOWN and file.missing != (now is Fate.GONE):
            (found.back if file.missing else found.gone).append(file.id)
    return found
