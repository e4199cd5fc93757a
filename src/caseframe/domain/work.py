"""Tasks, the states they go through, and what comes back from doing them.

Values that travel between processes have no slots: pickling a frozen dataclass with slots goes
through its list of fields each time and costs four times as much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from caseframe.domain.evidence import Examined, FileState
from caseframe.domain.facts import Facts


class TaskState(StrEnum):
    """A task is one (image, stage, stage version) and is in exactly one of these states."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNAVAILABLE = "unavailable"


class JobState(StrEnum):
    """What a job is doing; `stopped` jobs go on where they stopped when started again."""

    CREATED = "created"
    QUEUED = "queued"
    RUNNING = "running"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


ACTIVE_STATES = frozenset({JobState.QUEUED, JobState.RUNNING})
"""The states of jobs that are at work or will be."""


@dataclass(frozen=True)
class ImageRecord:
    """What the catalog holds of a picture's file; None where its header does not say."""

    id: int
    md5: str
    sha1: str
    mime: str
    size: int
    format: str | None = None
    width: int | None = None
    height: int | None = None
    colorspace: str | None = None
    bit_depth: int | None = None
    resolution_dpi: float | None = None
    added_at: datetime | None = None


@dataclass(frozen=True)
class Order:
    """One file to open, and what to do with its bytes while they are in memory.

    `root` and `path` are bytes as the operating system gives them, `path` relative to `root`.
    `ingest` asks for the examination of the file itself; without it only stages run, and
    `sha256` says which content they must find there. `known` lists digests already in the
    catalog whose work is all done: such a file is hashed and no further work is done on it.
    `anew` lists digests whose stages are all done: such a file is examined, and no stage is run.
    `given` holds earlier results (JSON by stage name) that the stages asked for depend on.
    `before` is the SHA-256 that the same path had when it was last scanned.
    `skip` maps steps that already killed a worker too often to the reason to record.
    `size` (bytes) and `modified_ns` are what the walk saw, for a file that cannot be read.
    `record` is what the catalog holds of the picture, for workers on other machines.
    """

    root: bytes
    path: bytes
    stages: tuple[str, ...] = ()
    ingest: bool = True
    sha256: bytes | None = None
    before: bytes | None = None
    size: int = 0
    modified_ns: int = 0
    known: frozenset[bytes] = frozenset()
    anew: frozenset[bytes] = frozenset()
    given: Mapping[str, str] = field(default_factory=dict)
    skip: Mapping[str, str] = field(default_factory=dict)
    file_id: int | None = None
    image_id: int | None = None
    job_id: str = ""
    record: ImageRecord | None = None


@dataclass(frozen=True)
class StageOutcome:
    """What became of one task: its state, the result as JSON text, and the facts in it.

    `payload` is None unless the state is done and something was found. `found` tells "none
    found" from "found"; a failed or unavailable task has neither and says why in `reason`.
    `passing` says of an unavailable one that it may soon fare better; it is not stored.
    """

    stage: str
    version: str
    state: TaskState
    found: bool = False
    reason: str | None = None
    payload: str | None = None
    facts: Facts | None = None
    problems: tuple[str, ...] = ()
    model: str | None = None
    model_digest: str | None = None
    seconds: float = 0.0
    attempts: int = 1
    passing: bool = False


@dataclass(frozen=True)
class Outcome:
    """Everything that came of one order. `examined` is None when it was not asked for.

    `already_known` says that no stage was to look: the digest is among the order's `known`, or
    among its `anew`.
    """

    order: Order
    examined: Examined | None
    stages: tuple[StageOutcome, ...] = ()
    already_known: bool = False


def unreadable(order: Order, reason: str) -> Examined:
    """What is known of a file whose bytes cannot be had: its size and time as the walk saw them."""
    return Examined(FileState.UNREADABLE, order.size, order.modified_ns, reason)
