"""Deciding what a name found in the source needs; pure rules, no catalog."""

from __future__ import annotations

from typing import Protocol

from caseframe.domain.evidence import FileState
from caseframe.scanner.walk import Entry


class Before(Protocol):
    """What was recorded of a path by an earlier scan."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def modified_ns(self) -> int:
        """Modification time."""

    @property
    def state(self) -> str:
        """A `FileState`."""


def needs_reading(entry: Entry, before: Before | None, *, rehash: bool) -> bool:
    """Whether a name must be looked into (or recorded, if it is no regular file).

    Size and modification time stand for the content, as in rsync and git; `rehash` trusts
    neither. What could not be read is tried again each time.
    """
    if before is None or rehash or before.state == FileState.UNREADABLE:
        return True
    return entry.size != before.size or entry.modified_ns != before.modified_ns


def state_of_skipped(entry: Entry) -> FileState:
    """The state of a name that is not a regular file."""
    return FileState.UNREADABLE if entry.unreadable else FileState.NOT_A_PICTURE
