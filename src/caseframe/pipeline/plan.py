"""Deciding what a name found in the source needs; pure rules, no catalog."""

from __future__ import annotations

from dataclasses import dataclass

from caseframe.domain.evidence import FileState
from caseframe.scanner.walk import Entry


@dataclass(frozen=True, slots=True)
class Before:
    """What was recorded of a path by an earlier scan."""

    size: int
    modified_ns: int
    state: FileState


def needs_reading(entry: Entry, before: Before | None, *, rehash: bool) -> bool:
    """Whether a regular file must be opened.

    Size and modification time stand for the content, as in rsync and git; `rehash` trusts
    neither. What could not be read is tried again each time.
    """
    if before is None or rehash or before.state is FileState.UNREADABLE:
        return True
    return (entry.size, entry.modified_ns) != (before.size, before.modified_ns)


def state_of_skipped(entry: Entry) -> FileState:
    """The state of a name that is not a regular file."""
    return FileState.UNREADABLE if entry.unreadable else FileState.NOT_A_PICTURE
