"""How far a run has come, for whoever shows it. Read at any time; written by one thread.

These numbers describe one run while it lasts. What is true of a job is counted from the catalog.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from caseframe.domain.evidence import FileState
from caseframe.domain.work import TaskState

_SAMPLES = 15
_SAMPLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How far a run was at one moment: files that need no more, tasks by stage."""

    at: float
    files: int
    stages: dict[str, int]


def _ended(states: Counter[TaskState]) -> int:
    """Tasks that are over. Those that were only noted for workers elsewhere are not."""
    return states.total() - states[TaskState.PENDING]


@dataclass(slots=True)
class Progress:
    """The present run. `total` is None until the source has been counted.

    `waiting` says in one line what the work waits for, "" when for nothing.
    """

    phase: str = "scan"
    total: int | None = None
    seen: int = 0
    unchanged: int = 0
    examined: int = 0
    bytes_read: int = 0
    states: Counter[FileState] = field(default_factory=Counter)
    stages: dict[str, Counter[TaskState]] = field(default_factory=dict)
    stage_total: int | None = None
    stage_done: int = 0
    current: str = ""
    waiting: str = ""
    started: float = field(default_factory=time.monotonic)
    on_change: Callable[[Progress], None] | None = None
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=_SAMPLES))

    def changed(self) -> None:
        """Tell whoever listens, and note how far we are for the rates."""
        now = time.monotonic()
        if not self.samples or now - self.samples[-1].at >= _SAMPLE_SECONDS:
            stages = {name: _ended(states) for name, states in self.stages.items()}
            self.samples.append(Sample(now, self.finished_files, stages))
        if self.on_change is not None:
            self.on_change(self)

    @property
    def finished_files(self) -> int:
        """Files of this run that need nothing more."""
        return self.unchanged + self.examined

    def file_rate(self) -> float | None:
        """Files a second over the last moments; None while there is too little to tell."""
        return self._rate(lambda sample: sample.files)

    def stage_rate(self, stage: str) -> float | None:
        """Pictures a second that the stage is done with, likewise."""
        return self._rate(lambda sample: sample.stages.get(stage, 0))

    def _rate(self, count: Callable[[Sample], int]) -> float | None:
        samples = tuple(self.samples)
        if len(samples) < 2:
            return None
        seconds = time.monotonic() - samples[0].at  # to now: a run that hangs slows down
        return (count(samples[-1]) - count(samples[0])) / seconds
